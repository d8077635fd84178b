"""The simulated server over real sockets: OpenAI's forms, times of the engine, clients that leave, every fault."""

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from load.backend import RunningBackend, start
from load.engine import H100, EngineModel
from load.faults import Fault, FaultKind

CHAT: dict[str, Any] = {"model": "strong", "messages": [{"role": "user", "content": "What is a lighthouse for?"}], "sim_output_tokens": 12}
SPEED = 20.0


@pytest.fixture
async def backend() -> AsyncIterator[RunningBackend]:
    running = await start(speed=SPEED, name="one")
    yield running
    await running.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def state(backend: RunningBackend, http: aiohttp.ClientSession) -> dict[str, Any]:
    async with http.get(f"{backend.url}/sim/state") as response:
        assert response.headers["x-sim"] == "true"
        return dict(await response.json())


async def ask(backend: RunningBackend, http: aiohttp.ClientSession, path: str = "/chat/completions", **body: Any) -> tuple[int, bytes]:
    async with http.post(backend.base_url + path, json=body) as response:
        return response.status, await response.read()


def events(body: bytes) -> list[dict[str, Any]]:
    lines = body.split(b"\n\n")
    assert lines[-2:] == [b"data: [DONE]", b""]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines[:-2]]


async def eventually(check: Callable[[], Awaitable[bool]], within_s: float = 2.0) -> None:
    deadline = time.monotonic() + within_s
    while not await check():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)


async def test_an_answer_has_openais_form_and_says_that_it_is_simulated(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{backend.base_url}/chat/completions", json=CHAT) as response:
        assert (response.status, response.headers["x-sim"], response.content_type) == (200, "true", "application/json")
        body = await response.json()
    assert body["usage"]["prompt_tokens"] == round(len("What is a lighthouse for?") / 4)
    assert body["usage"]["completion_tokens"] == 12
    assert body["choices"][0]["finish_reason"] == "stop"
    assert len(body["choices"][0]["message"]["content"].split()) == 12
    async with http.get(f"{backend.base_url}/models") as response:
        assert (await response.json())["data"][0] | {"created": 0, "max_model_len": 0} == {
            "id": "strong",
            "object": "model",
            "created": 0,
            "owned_by": "simulated",
            "max_model_len": 0,
        }
    async with http.get(f"{backend.url}/health") as response:
        assert response.status == 200


async def test_a_stream_says_the_same_words_as_the_whole_answer(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    _, plain = await ask(backend, http, **CHAT)
    status, streamed = await ask(backend, http, **CHAT, stream=True, stream_options={"include_usage": True})
    parts = events(streamed)
    assert status == 200
    assert parts[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    said = "".join(part["choices"][0]["delta"].get("content", "") for part in parts[:-1])
    whole = json.loads(plain)
    assert (said, parts[-1]["usage"]) == (whole["choices"][0]["message"]["content"], whole["usage"])
    without_usage = events((await ask(backend, http, **CHAT, stream=True))[1])
    assert all("usage" not in part for part in without_usage)


async def test_first_token_and_end_come_when_the_engine_says() -> None:
    running = await start(engine=EngineModel(d0_s=0.1, d1_s=0.0, prefill_s_per_token=0.001, prefill_only_s=0.1), speed=2.0)
    began_s, times = time.monotonic(), []
    body = {**CHAT, "stream": True, "sim_prompt_tokens": 300, "sim_output_tokens": 5}
    async with aiohttp.ClientSession() as http, http.post(f"{running.base_url}/chat/completions", json=body) as response:
        async for _ in response.content.iter_any():
            times.append(time.monotonic() - began_s)
    await running.close()
    assert 0.2 <= times[0] < 0.9  # (100 ms + 300 tokens of 1 ms) / 2; the upper bounds leave room for a busy machine
    assert 0.4 <= times[-1] < 1.2  # and four times 50 ms


@pytest.mark.parametrize(
    ("path", "body", "objects"),
    [
        ("/completions", {"prompt": ["one", "two"], "n": 2, "max_tokens": 3}, "text_completion"),
        ("/completions", {"prompt": [1, 2, 3], "max_tokens": 3}, "text_completion"),
        ("/chat/completions", {**CHAT, "n": 3}, "chat.completion"),
    ],
)
async def test_several_prompts_and_choices_are_numbered(
    backend: RunningBackend, http: aiohttp.ClientSession, path: str, body: dict[str, Any], objects: str
) -> None:
    body = {**body, "model": "strong"}
    status, plain = await ask(backend, http, path, **body)
    whole = json.loads(plain)
    wanted = body.get("n", 1) * (2 if body.get("prompt") == ["one", "two"] else 1)
    assert (status, whole["object"], [c["index"] for c in whole["choices"]]) == (200, objects, list(range(wanted)))
    streamed = events((await ask(backend, http, path, **body, stream=True, stream_options={"include_usage": True}))[1])
    assert {c["index"] for part in streamed for c in part["choices"]} == set(range(wanted))
    assert streamed[-1]["usage"] == whole["usage"]


async def test_embeddings_are_answered(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    status, body = await ask(backend, http, "/embeddings", model="strong", input=["a" * 40, "b"])
    answer = json.loads(body)
    assert (status, len(answer["data"]), answer["usage"]) == (200, 2, {"prompt_tokens": 11, "total_tokens": 11})
    told = await state(backend, http)
    assert (told["prompt_tokens"], told["completion_tokens"], told["finished"]) == (11, 0, 1)


async def test_the_openai_client_works_against_it(backend: RunningBackend) -> None:
    openai = pytest.importorskip("openai")
    async with openai.AsyncOpenAI(base_url=backend.base_url, api_key="none", max_retries=0) as client:
        tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
        made = await client.chat.completions.create(model="strong", messages=CHAT["messages"], tools=tools, tool_choice="required")
        assert made.choices[0].message.tool_calls[0].function.name == "look"
        stream = await client.chat.completions.create(model="strong", messages=CHAT["messages"], stream=True, max_tokens=4)
        assert len([chunk async for chunk in stream if chunk.choices[0].delta.content]) == 4
        vectors = await client.embeddings.create(model="strong", input="hello", dimensions=8)
        assert len(vectors.data[0].embedding) == 8
        schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 4}}, "required": ["n"]}
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
        made = await client.chat.completions.create(model="strong", messages=CHAT["messages"], response_format=form)
        assert json.loads(made.choices[0].message.content) == {"n": 4}
        assert [model.id async for model in client.models.list()] == ["strong"]
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            await client.chat.completions.create(model="other", messages=CHAT["messages"])


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"model":"strong"}', b'{"model":"strong","messages":[]}'])
async def test_bad_requests_are_answered_in_openais_shape(backend: RunningBackend, http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post(f"{backend.base_url}/chat/completions", data=body) as response:
        error = (await response.json())["error"]
    assert (response.status, set(error)) == (400, {"message", "type", "param", "code"})
    assert (await state(backend, http))["refused"] == 1


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_client_that_leaves_frees_the_engine_at_once_and_is_accounted(
    backend: RunningBackend, http: aiohttp.ClientSession, is_streamed: bool
) -> None:
    post = asyncio.ensure_future(ask(backend, http, **{**CHAT, "sim_output_tokens": 5000, "stream": is_streamed}))

    async def is_decoding() -> bool:
        return int((await state(backend, http))["running"]) == 1

    await eventually(is_decoding)
    await asyncio.sleep(0.05)
    post.cancel()

    async def is_idle() -> bool:
        return int((await state(backend, http))["running"]) == 0

    await eventually(is_idle)
    told = await state(backend, http)
    assert (told["received"], told["finished"], told["cancelled"], told["prompt_tokens"]) == (1, 0, 1, 6)
    assert 10 < told["completion_tokens"] < 4000
    async with http.get(f"{backend.url}/metrics") as response:
        text = await response.text()
    assert 'finished_reason="abort"} 1' in text
    assert 'vllm:num_requests_running{engine="0",model_name="strong"} 0' in text


async def test_the_last_request_is_kept_byte_for_byte_with_what_was_answered(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    raw = b'{ "messages":[{"role":"user","content":"\\u0068i"}],"model":"strong", "x":1e2,"max_tokens":3}'
    headers = {"X-Odd-Case": "yes", "Content-Type": "application/json"}
    async with http.post(f"{backend.base_url}/chat/completions?a=b", data=raw, headers=headers) as response:
        answered = await response.read()
    async with http.get(f"{backend.url}/sim/last") as response:
        last = await response.json()
    assert (base64.b64decode(last["body_base64"]), base64.b64decode(last["answer_base64"])) == (raw, answered)
    assert last["path"] == "/v1/chat/completions?a=b"
    assert ["X-Odd-Case", "yes"] in last["headers"]
    _, streamed = await ask(backend, http, **CHAT, stream=True)
    assert backend.backend.last is not None
    assert b"".join(backend.backend.last.answer) == streamed


async def switch(backend: RunningBackend, http: aiohttp.ClientSession, kind: str, **options: Any) -> None:
    async with http.post(f"{backend.url}/sim/fault", json={"kind": kind, **options}) as response:
        assert response.status == 200
        told = await response.json()
        assert told["fault"]["kind"] == kind


async def test_down_answers_503_everywhere_but_at_the_switch(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    await switch(backend, http, "down")
    assert (await ask(backend, http, **CHAT))[0] == 503
    async with http.get(f"{backend.url}/health") as response:
        assert response.status == 503
    async with http.delete(f"{backend.url}/sim/fault") as response:
        assert (await response.json())["fault"] is None
    assert (await ask(backend, http, **CHAT))[0] == 200


async def test_refuse_drops_connections_and_streams_in_flight(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{backend.base_url}/chat/completions", json={**CHAT, "stream": True, "sim_output_tokens": 9000}) as response:
        await response.content.readany()
        await switch(backend, http, "refuse")
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(response.read(), 2)
    with pytest.raises(aiohttp.ClientError):
        await ask(backend, http, **CHAT)
    told = await state(backend, http)
    assert (told["running"], told["cancelled"]) == (0, 1)


async def test_errors_hit_their_share_of_requests_and_the_same_ones_for_the_same_seed(
    backend: RunningBackend, http: aiohttp.ClientSession
) -> None:
    runs = []
    for _ in range(2):
        await switch(backend, http, "errors", size=0.4, seed=7)
        runs.append([(await ask(backend, http, **{**CHAT, "sim_output_tokens": 1}))[0] for _ in range(60)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}
    assert 12 <= runs[0].count(500) <= 36


async def test_slow_stretches_the_engine(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    await switch(backend, http, "slow", size=20)
    began_s = time.monotonic()
    assert (await ask(backend, http, **CHAT))[0] == 200
    assert time.monotonic() - began_s > 11 * H100.d0_s * 20 / SPEED


async def test_a_rate_limit_says_when_to_come_back(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    await switch(backend, http, "rate_limit", size=7)
    async with http.post(f"{backend.base_url}/chat/completions", json=CHAT) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert (await response.json())["error"]["code"] == "rate_limit_exceeded"


async def test_an_error_may_come_as_the_first_event_of_a_200(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    await switch(backend, http, "error_first_frame")
    status, body = await ask(backend, http, **CHAT, stream=True)
    assert status == 200
    assert body.startswith(b'data: {"error":{')
    assert b"[DONE]" not in body
    assert (await ask(backend, http, **CHAT))[0] == 500


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_cut_ends_in_the_middle(backend: RunningBackend, http: aiohttp.ClientSession, is_streamed: bool) -> None:
    await switch(backend, http, "cut", size=4)
    received = b""
    async with http.post(f"{backend.base_url}/chat/completions", json={**CHAT, "stream": is_streamed}) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            async for part in response.content.iter_any():
                received += part
    assert received.count(b'"content":" ') == (4 if is_streamed else 0)
    assert b"[DONE]" not in received
    assert (await state(backend, http))["cancelled"] == 1


async def test_a_stall_keeps_the_connection_and_says_no_more(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    await switch(backend, http, "stall", size=3)
    received = b""
    async with http.post(f"{backend.base_url}/chat/completions", json={**CHAT, "stream": True}) as response:
        with pytest.raises(TimeoutError):
            while True:
                received += await asyncio.wait_for(response.content.readany(), 0.3)
        assert received.count(b'"content":" ') == 3
        assert (await state(backend, http))["cancelled"] == 0

    async def is_noticed() -> bool:
        return int((await state(backend, http))["cancelled"]) == 1

    await eventually(is_noticed)


async def test_silence_sends_no_header(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    await switch(backend, http, "silent")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(backend, http, **CHAT), 0.2)


async def test_an_unknown_fault_is_refused(backend: RunningBackend, http: aiohttp.ClientSession) -> None:
    for body in (b'{"kind":"tired"}', b"[]", b"", b'{"kind":"errors","size":3}'):
        async with http.post(f"{backend.url}/sim/fault", data=body) as response:
            assert response.status == 400
    backend.backend.set_fault(Fault(FaultKind.DOWN))
    async with http.post(f"{backend.url}/sim/fault", json={"kind": "none"}) as response:
        assert (await response.json())["fault"] is None


async def test_a_shared_prefix_is_told_in_usage(http: aiohttp.ClientSession) -> None:
    running = await start(engine=EngineModel(0.02, 0.0, 0.00001, cache_blocks=100), speed=SPEED)
    long = {**CHAT, "messages": [{"role": "user", "content": "z" * 5000}]}
    told = [json.loads((await ask(running, http, **long))[1])["usage"]["prompt_tokens_details"]["cached_tokens"] for _ in range(2)]
    await running.close()
    assert told == [0, 1024]


async def test_an_http_1_0_client_gets_a_stream_without_chunks(backend: RunningBackend) -> None:
    reader, writer = await asyncio.open_connection(backend.host, backend.port)
    body = json.dumps({**CHAT, "stream": True}).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    head, _, answer = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    writer.close()
    assert b"chunked" not in head
    assert len(events(answer)) == 14


async def test_a_busy_port_is_an_error(backend: RunningBackend) -> None:
    with pytest.raises(OSError, match="address"):
        await start(port=backend.port)


def test_from_the_command_line_it_ends_with_its_parents_pipe() -> None:
    command = [sys.executable, "-m", "load.backend", "--model", "weak", "--preset", "hosted", "--guard"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert "as weak (hosted, simulated)" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(10) == 0


def test_from_the_command_line_it_ends_at_sigterm_and_a_busy_port_is_one_line() -> None:
    command = [sys.executable, "-m", "load.backend"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split()[2].rsplit(":", 1)[1]
        second = subprocess.run([*command, "--port", port], capture_output=True, text=True, check=False, timeout=20)
        assert (second.returncode, second.stderr.count("\n")) == (2, 1)
        assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
        process.terminate()
        assert process.wait(10) == 0
