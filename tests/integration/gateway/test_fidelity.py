"""Every byte that we have no reason to touch arrives as it was sent, in both directions."""

import asyncio
import json
from typing import Any

import pytest

RAW_FIELDS = rb"""
  "messages": [
    {"role": "developer", "content": "Be terse.", "name": "boss"},
    {"role": "user", "content": [
      {"type": "text", "text": "caf\u00e9 \ud83d\ude00 \u0041 / \/ "},
      {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
      {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
      {"type": "file", "file": {"file_id": "file-1"}},
      {"type": "from_the_future", "model": "not this one"}]},
    {"role": "assistant", "content": null, "refusal": null, "audio": {"id": "a"}, "tool_calls": [
      {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"model\": \"x\"}"}}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "42"}
  ],
  "audio": {"voice": "alloy", "format": "wav"},
  "frequency_penalty": -0.0,
  "function_call": "auto",
  "functions": [],
  "logit_bias": {"50256": -1E+2},
  "logprobs": true,
  "max_completion_tokens": 64,
  "max_tokens": 64,
  "metadata": {"k": "v", "model": "meta"},
  "modalities": ["text"],
  "n": 1,
  "parallel_tool_calls": false,
  "prediction": {"type": "content", "content": "x"},
  "presence_penalty": 1e-7,
  "prompt_cache_key": "pk",
  "prompt_cache_retention": "24h",
  "reasoning_effort": "low",
  "response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": true, "schema": {"type": "object"}}},
  "safety_identifier": "sid",
  "seed": 12345678901234567890,
  "service_tier": "auto",
  "stop": ["\n\n", "END"],
  "store": false,
  "temperature": 1.0,
  "tool_choice": {"type": "function", "function": {"name": "f"}},
  "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"model": {"type": "string"}}}}}],
  "top_logprobs": 3,
  "top_p": 0.10,
  "user": "u-1",
  "verbosity": "low",
  "web_search_options": {"search_context_size": "low"},
  "min_p": 0.050,
  "top_k": 40,
  "repetition_penalty": 1.10,
  "chat_template_kwargs": {"enable_thinking": false},
  "guided_json": {"type": "object"},
  "priority": 3,
  "cache_salt": "s",
  "vllm_xargs": {"a": [1, 2.50, null]},
  "x_custom": {"deep": [{"er": {"model": "y", "n": 1.000}}], "empty": {}},
  "x_repeated": 1, "x_repeated": 2"""
RAW_ANSWER = (
    b'{ "x_first":1.0, "id":"c", "object":"chat.completion","created":1e0,"model":"other-name","choices":[{"index":0,"x_choice":{"a":1},'
    b'"message":{"content":"caf\\u00e9 \\/","role":"assistant","x_message":[1,{"b":2}],"annotations":[]},"logprobs":null,"finish_reason":'
    b'"stop"}], "usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"x_usage":{}},"service_tier":"default",'
    b'"x_top":12345678901234567890 }\n'
)


def body(extra: bytes = b"", model: bytes = b'"auto"') -> bytes:
    return b'{\n "model"  :  ' + model + b"," + RAW_FIELDS + extra + b"\n}"


async def post(session: Any, url: str, data: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    async with session.post(url, data=data, headers={"Content-Type": "application/json", **headers}) as response:
        return response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read()


@pytest.fixture
async def session():
    import aiohttp

    async with aiohttp.ClientSession(auto_decompress=False) as made:
        yield made


async def test_a_whole_request_and_its_answer_keep_every_byte_but_the_model(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.json(200, RAW_ANSWER, ("x-request-id", "theirs"), ("openai-processing-ms", "12"), ("set-cookie", "a=b"))

    backend.script = script
    gateway = await gateways([backend.url])
    status, headers, answer = await post(
        session, gateway.url + "/chat/completions?beta=%20true&x", body(), **{"x-request-id": "mine", "X-Own": "1"}
    )
    assert (status, answer) == (200, RAW_ANSWER)
    assert backend.seen[0].body == body(model=b'"real-model"')
    assert backend.seen[0].line == "POST /v1/chat/completions?beta=%20true&x HTTP/1.1"
    assert headers["x-upstream-request-id"] == "theirs" and headers["x-client-request-id"] == "mine"
    assert headers["x-request-id"].startswith("req_") and headers["openai-processing-ms"] == "12"
    assert "set-cookie" not in headers
    assert backend.seen[0].header("x-own") == "1"


async def test_the_backend_gets_its_own_key_and_never_the_clients(backends, gateways, session):
    backend = await backends()
    gateway = await gateways([backend.url])
    extra = {
        "Authorization": "Bearer acme-key",
        "x-api-key": "acme-key",
        "Cookie": "s=acme-key",
        "x-sluice-class": "standard",
        "TE": "trailers",
    }
    status, _, _ = await post(session, gateway.url + "/chat/completions", body(), **extra)
    assert status == 200
    seen = backend.seen[0]
    assert [v for k, v in seen.headers if k.lower() == "authorization"] == ["Bearer backend-secret"]
    assert "acme-key" not in str(seen.headers)
    assert not any(k.lower().startswith("x-sluice") or k.lower() == "te" for k, _ in seen.headers)
    assert seen.header("accept-encoding") == "identity"


async def test_a_metered_stream_differs_by_the_asked_usage_and_nothing_else(backends, gateways, session):
    backend = await backends()
    events = [
        b": keep-alive\n\n",
        b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null,"x":1.0}\n\n',
        b'event: odd\nid: 7\ndata: {"id":"c","choices":[{"index":0,"delta":{"content":"caf\\u00e9"}}],"usage":null}\n\n',
        b'data:{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\r\n\r\n',
    ]
    usage = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'

    async def script(wire, _seen):
        await wire.sse_head()
        for event in [*events, usage, b"data: [DONE]\n\n"]:
            for cut in (event[:5], event[5:]):
                await wire.chunk(cut)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    status, headers, answer = await post(session, gateway.url + "/chat/completions", body(b',"stream":true'))
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert answer == b"".join(events) + b"data: [DONE]\n\n"
    assert json.loads(backend.seen[0].body) == {
        **json.loads(body(b',"stream":true')),
        "model": "real-model",
        "stream_options": {"include_usage": True},
    }
    assert gateway.books.outcomes[-1].completion_tokens == 2 and not gateway.books.outcomes[-1].is_estimated
    asked = body(b',"stream":true,"stream_options":{"include_usage":true,"x":1}')
    _, _, answer = await post(session, gateway.url + "/chat/completions", asked)
    assert answer == b"".join(events) + usage + b"data: [DONE]\n\n"
    assert backend.seen[1].body == asked.replace(b'"auto"', b'"real-model"', 1)


async def test_completions_and_embeddings_pass_too_and_embeddings_never_change_their_model(backends, gateways, session):
    strong, weak = await backends(), await backends()
    vectors = (
        b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-1e-3]}],'
        b'"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}'
    )

    async def script(wire, _seen):
        await wire.json(200, vectors)

    strong.script = weak.script = script
    gateway = await gateways([strong.url], [weak.url])
    for _ in range(20):
        status, headers, answer = await post(session, gateway.url + "/embeddings", b'{"input":["a",  "b"],"model":"auto","dimensions":2}')
        assert (status, answer, headers["x-sluice-model"]) == (200, vectors, "strong")
    assert strong.seen[0].body == b'{"input":["a",  "b"],"model":"real-model","dimensions":2}' and not weak.seen
    assert gateway.books.outcomes[-1].prompt_tokens == 3
    status, _, _ = await post(session, gateway.url + "/completions", b'{"prompt":"a","model":"one","suffix":null}')
    assert status == 200 and strong.seen[-1].line.startswith("POST /v1/completions ")


async def test_an_upstream_error_object_passes_unchanged(backends, gateways, session):
    backend = await backends()
    error = b'{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded","x":1.0}}'

    async def script(wire, _seen):
        await wire.json(400, error)

    backend.script = script
    gateway = await gateways([backend.url])
    status, headers, answer = await post(session, gateway.url + "/chat/completions", body())
    assert (status, answer, headers["content-type"]) == (400, error, "application/json")
    assert len(backend.seen) == 1
    assert gateway.books.outcomes[-1].reason.value == "upstream_refused" and gateway.books.usd[-1] == 0


async def test_a_client_of_http_1_0_gets_a_stream_that_ends_with_its_connection(backends, gateways):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    data = b'{"model":"auto","stream":true,"messages":[{"role":"user","content":"x"}]}'
    writer.write(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
    answer = await reader.read()
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200") and b"chunked" not in head
    assert rest.endswith(b"data: [DONE]\n\n") and rest.startswith(b"data: {")
    writer.close()
