"""Backends that fail, each in its own way: what the client sees, what is tried again, and what is booked."""

import asyncio
import json
import time

import pytest

ASK = {"model": "one", "messages": [{"role": "user", "content": "tell me"}]}
ONCE = "attempts_max: 1, retry_share: 0"


@pytest.fixture
async def session():
    import aiohttp

    async with aiohttp.ClientSession() as made:
        yield made


async def ask(session, gateway, **more):
    async with session.post(gateway.url + "/chat/completions", json={**ASK, **more}) as response:
        return response.status, response.headers, await response.json()


def fails_with(status: int, body: bytes, *headers: tuple[str, str]):
    async def script(wire, _seen):
        await wire.json(status, body, *headers)

    return script


@pytest.mark.parametrize("status", [500, 502, 503, 529])
async def test_a_server_error_passes_with_its_own_body_when_nobody_else_can_answer(backends, gateways, session, status):
    backend = await backends()
    backend.script = fails_with(status, b'{"error":{"message":"broken","type":"server_error","param":null,"code":"x"}}')
    gateway = await gateways([backend.url], upstream=ONCE)
    seen, _, answer = await ask(session, gateway)
    assert (seen, answer["error"]["message"]) == (status, "broken")
    assert gateway.books.outcomes[-1].reason.value == "upstream_error" and gateway.books.usd[-1] == 0


async def test_a_body_that_is_no_error_object_is_wrapped(backends, gateways, session):
    backend = await backends()
    backend.script = fails_with(500, b"<html>oops</html>", ("content-type", "text/html"))
    gateway = await gateways([backend.url], upstream=ONCE)
    status, headers, answer = await ask(session, gateway)
    assert status == 500 and set(answer["error"]) == {"message", "type", "param", "code"}
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_of_ours_is_our_fault_and_its_words_stay_here(backends, gateways, session, status):
    backend = await backends()
    backend.script = fails_with(
        status, b'{"error":{"message":"Incorrect API key provided: backend-secret","type":"x","param":null,"code":null}}'
    )
    gateway = await gateways([backend.url], upstream=ONCE)
    seen, _, answer = await ask(session, gateway)
    assert seen == 502 and answer["error"]["code"] == "upstream_auth" and "secret" not in json.dumps(answer)


async def test_a_rate_limit_passes_with_retry_after_and_is_not_hammered(backends, gateways, session):
    backend = await backends()
    backend.script = fails_with(
        429, b'{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rl"}}', ("retry-after", "7")
    )
    gateway = await gateways([backend.url])
    status, headers, answer = await ask(session, gateway)
    assert (status, headers["retry-after"], answer["error"]["code"]) == (429, "7", "rl")
    assert len(backend.seen) == 1
    status, headers, answer = await ask(session, gateway)
    assert status in (429, 503) and "retry-after" in headers
    assert len(backend.seen) == 1, "a backend that asked for seven seconds is left alone"


async def test_a_failed_backend_is_answered_for_by_another_and_that_is_no_retry(backends, gateways, session):
    bad, good = await backends(), await backends()
    bad.script = fails_with(500, b"{}")
    gateway = await gateways([bad.url, good.url])
    for _ in range(6):
        status, headers, _ = await ask(session, gateway)
        assert status == 200
    assert bad.seen and all(not is_retry for _, is_retry in gateway.books.agains)
    assert gateway.books.total("end.served") == 6 and gateway.books.total("end.upstream_error") == 0
    assert headers["x-sluice-model"] == "strong"


async def test_another_model_answers_when_all_backends_of_the_first_fail(backends, gateways, session):
    strong, weak = await backends(), await backends()
    strong.script = fails_with(500, b"{}")
    gateway = await gateways([strong.url], [weak.url])
    for _ in range(8):
        status, headers, _ = await ask(session, gateway, model="auto")
        assert status == 200 and headers["x-sluice-model"] == "weak"


async def test_a_backend_that_is_down_is_unreachable_and_the_answer_does_not_name_it(gateways, session):
    gateway = await gateways(["http://127.0.0.1:1/v1"], upstream=ONCE, may="[]")
    status, _, answer = await ask(session, gateway)
    assert (status, answer["error"]["code"]) == (502, "upstream_unreachable")
    assert "127.0.0.1" not in json.dumps(answer)


async def test_a_dead_backend_is_left_alone_after_a_few_failures_and_503_says_when(gateways, session):
    gateway = await gateways(["http://127.0.0.1:1/v1"], upstream=ONCE)
    seen = [await ask(session, gateway) for _ in range(12)]
    status, headers, answer = seen[-1]
    assert (status, answer["error"]["code"]) == (503, "no_backend") and int(headers["retry-after"]) >= 1


async def test_no_connection_in_time_is_a_connect_timeout(gateways, session):
    # A listening socket with a full queue answers no SYN.
    import socket

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        gateway = await gateways([f"http://127.0.0.1:{full.getsockname()[1]}/v1"], upstream=ONCE + ", connect_timeout: 200ms")
        start = time.monotonic()
        status, _, answer = await ask(session, gateway)
        assert (status, answer["error"]["code"]) == (504, "upstream_timeout_connect")
        assert 0.15 < time.monotonic() - start < 1.0
        for filler in fillers:
            filler.close()


async def test_a_backend_that_never_sends_a_head_is_given_up_by_the_first_token_clock(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.reader.read(1)
        raise ConnectionError

    backend.script = script
    gateway = await gateways([backend.url], upstream=ONCE + ", ttft_timeout: 200ms")
    start = time.monotonic()
    status, _, answer = await ask(session, gateway)
    assert (status, answer["error"]["code"]) == (504, "upstream_timeout_ttft")
    assert 0.15 < time.monotonic() - start < 1.0
    await asyncio.wait_for(backend.gone.wait(), 0.2)
    assert gateway.books.usd[-1] > 0, "the prompt was probably processed"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"SMTP ready\r\n\r\n", "upstream_bad_answer"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n", "upstream_bad_answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "upstream_bad_answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>", "upstream_bad_answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}", "upstream_cut"),
        (b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":', "upstream_cut"),
        (b"", "upstream_unreachable"),
    ],
)
async def test_what_is_no_answer_is_named(backends, gateways, session, sent, code):
    backend = await backends()

    async def script(wire, _seen):
        await wire.send(sent)
        return False

    backend.script = script
    gateway = await gateways([backend.url], upstream=ONCE)
    status, _, answer = await ask(session, gateway)
    assert (status, answer["error"]["code"]) == (502, code)
    assert len(backend.seen) == 1


async def test_an_error_object_with_status_200_is_a_failed_attempt(backends, gateways, session):
    backend = await backends()
    backend.script = fails_with(200, b'{"error":{"message":"no such luck","type":"server_error","param":null,"code":null}}')
    gateway = await gateways([backend.url], upstream=ONCE)
    status, _, answer = await ask(session, gateway)
    assert (status, answer["error"]["message"]) == (502, "no such luck")
    backend.script = fails_with(200, b'{"error":{"message":"your fault","type":"BadRequestError","param":null,"code":400}}')
    status, _, answer = await ask(session, gateway)
    assert (status, answer["error"]["message"]) == (400, "your fault")
    assert gateway.books.outcomes[-1].reason.value == "upstream_refused"


async def test_a_keep_alive_connection_closed_under_us_is_replaced_without_an_attempt(backends, gateways, session):
    backend = await backends()

    async def script(wire, seen):
        if wire.number == 1 and len(backend.seen) == 2:
            return False  # The backend's idle timeout ran out just as our request came.
        await wire.json(200, b'{"choices":[{"message":{"content":"x"}}]}')

    backend.script = script
    gateway = await gateways([backend.url], upstream=ONCE)
    assert (await ask(session, gateway))[0] == 200
    status, headers, _ = await ask(session, gateway)
    assert (status, headers["x-sluice-attempts"]) == (200, "1")
    assert backend.connections == 2 and len(backend.seen) == 3


async def test_bytes_after_an_answer_are_never_taken_for_the_next_one(backends, gateways, session):
    backend = await backends()
    evil = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"evil":1}'

    async def script(wire, seen):
        good = json.dumps({"choices": [{"message": {"content": f"answer {len(backend.seen)}"}}]}).encode()
        await wire.json(200, good)
        await asyncio.sleep(0.05)
        await wire.send(evil[: 20 if len(backend.seen) % 2 else len(evil)])

    backend.script = script
    gateway = await gateways([backend.url])
    for i in range(1, 5):
        status, _, answer = await ask(session, gateway)
        assert (status, answer["choices"][0]["message"]["content"]) == (200, f"answer {i}")
        await asyncio.sleep(0.1)
    assert backend.connections == 4


async def test_retries_add_at_most_their_share(backends, gateways, session):
    backend = await backends()
    calls = 0

    async def script(wire, _seen):
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            await wire.json(500, b"{}")
        else:
            await wire.json(200, b'{"choices":[{"message":{"content":"x"}}]}')

    backend.script = script
    gateway = await gateways([backend.url], upstream="retry_share: 0.1, attempts_max: 2")
    for _ in range(60):
        await ask(session, gateway)
    retries = sum(is_retry for _, is_retry in gateway.books.agains)
    assert 1 <= retries <= 60 * 0.1 + 1


async def test_an_answer_is_settled_before_a_slow_reader_has_read_it(backends, gateways):
    backend = await backends()
    backend.script = fails_with(200, b'{"choices":[{"message":{"content":"' + b"x" * 4_000_000 + b'"}}]}')
    gateway = await gateways([backend.url])
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.at, limit=1024)
    data = json.dumps(ASK).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
    for _ in range(100):
        await asyncio.sleep(0.02)
        if gateway.books.outcomes:
            break
    assert gateway.books.outcomes[-1].reason.value == "served"
    assert gateway.state.reserved_usd == 0
    writer.close()


async def test_a_huge_answer_is_passed_on_as_it_comes(backends, gateways, session):
    backend = await backends()
    huge = b'{"data":["' + b"x" * 20_000_000 + b'"]}'
    backend.script = fails_with(200, huge)
    gateway = await gateways([backend.url])
    async with session.post(gateway.url + "/embeddings", json={"model": "one", "input": "x"}) as response:
        assert await response.read() == huge
