"""Streams: what is held back, what is passed on, and how they end."""

import asyncio
import json
import time

import pytest

ASK = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "tell me"}]}


def delta(text: str | None = None, role: bool = False, finish: str | None = None) -> bytes:
    said = ({"role": "assistant", "content": ""} if role else {}) | ({"content": text} if text is not None else {})
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'


@pytest.fixture
async def session():
    import aiohttp

    async with aiohttp.ClientSession() as made:
        yield made


async def test_chunks_reach_the_client_as_they_are_made(backends, gateways, session):
    backend = await backends()
    go = asyncio.Event()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(delta(role=True))
        await wire.chunk(delta("one "))
        await go.wait()
        await wire.chunk(delta("two", finish="stop"))
        await wire.chunk(USAGE + DONE)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        first = await asyncio.wait_for(response.content.readany(), 2)
        assert first == delta(role=True) + delta("one ")
        assert response.headers["x-sluice-attempts"] == "1"
        go.set()
        rest = await response.content.read()
    assert rest == delta("two", finish="stop") + DONE
    outcome = gateway.books.outcomes[-1]
    assert outcome.reason.value == "served" and outcome.was_streamed and outcome.ttft_s is not None and outcome.ttft_s < 1
    assert (outcome.prompt_tokens, outcome.completion_tokens, outcome.is_estimated) == (7, 3, False)


async def test_an_error_as_first_event_is_a_failed_attempt_and_another_backend_answers(backends, gateways, session):
    bad, good = await backends(), await backends()

    async def fails(wire, _seen):
        await wire.sse_head()
        await wire.chunk(b": hello\n\n" + delta(role=True))
        await wire.chunk(b'data: {"error":{"message":"out of memory","type":"server_error","code":500}}\n\n')
        await wire.end()

    async def works(wire, _seen):
        await wire.sse_head()
        await wire.chunk(delta("fine", finish="stop") + DONE)
        await wire.end()

    bad.script, good.script = fails, works
    gateway = await gateways([bad.url, good.url])
    for _ in range(4):
        async with session.post(gateway.url + "/chat/completions", json={**ASK, "model": "one"}) as response:
            assert response.status == 200
            assert await response.read() == delta("fine", finish="stop") + DONE
    assert len(bad.seen) >= 1
    assert all(o.reason.value == "served" for o in gateway.books.outcomes)
    assert gateway.books.agains and not any(is_retry for _, is_retry in gateway.books.agains)


async def test_an_empty_stream_is_a_failed_attempt(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(b": nothing\n\n" + DONE)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url], upstream="attempts_max: 1")
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        assert response.status == 502
        assert (await response.json())["error"]["code"] == "upstream_bad_answer"


async def test_an_answer_without_text_that_says_why_it_ended_is_an_answer(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(delta(role=True) + delta(finish="length") + DONE)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        assert await response.read() == delta(role=True) + delta(finish="length") + DONE
    assert gateway.books.outcomes[-1].reason.value == "served"


@pytest.mark.parametrize("how", ["reset", "clean end"])
async def test_a_backend_that_dies_after_content_ends_the_stream_with_an_error_event_and_no_done(backends, gateways, session, how):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(delta("half of it"))
        await asyncio.sleep(0.05)
        if how == "clean end":
            await wire.end()
        return False

    backend.script = script
    gateway = await gateways([backend.url])
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        answer = await response.read()
    assert answer.startswith(delta("half of it")) and b"[DONE]" not in answer
    error = json.loads(answer.removeprefix(delta("half of it")).removeprefix(b"data: "))["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["code"] == "upstream_cut"
    outcome = gateway.books.outcomes[-1]
    assert outcome.reason.value == "upstream_cut" and outcome.is_estimated and outcome.completion_tokens > 0
    assert len(backend.seen) == 1


async def test_a_backends_own_error_after_content_passes_and_nothing_follows_it(backends, gateways, session):
    backend = await backends()
    error = b'data: {"error":{"message":"engine died","type":"server_error","param":null,"code":null}}\n\n'

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(delta("half"))
        await asyncio.sleep(0.05)
        await wire.chunk(delta(" more") + error + DONE)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        assert await response.read() == delta("half") + delta(" more") + error
    assert gateway.books.outcomes[-1].reason.value == "upstream_error"


async def test_a_backend_that_falls_silent_after_content_is_given_up_by_the_idle_clock(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(delta("and then"))
        await wire.reader.read(1)
        return False

    backend.script = script
    gateway = await gateways([backend.url], upstream="idle_timeout: 200ms")
    start = time.monotonic()
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        answer = await response.read()
    assert b"upstream_timeout_idle" in answer and b"[DONE]" not in answer
    assert 0.15 < time.monotonic() - start < 1.0


async def test_a_role_and_then_silence_is_given_up_by_the_first_token_clock(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(delta(role=True))
        await wire.reader.read(1)
        return False

    backend.script = script
    gateway = await gateways([backend.url], upstream="ttft_timeout: 200ms, attempts_max: 1")
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        assert response.status == 504
        assert (await response.json())["error"]["code"] == "upstream_timeout_ttft"


async def test_a_slow_stream_is_cut_by_the_total_clock_only(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        while True:
            await wire.chunk(delta("tick "))
            await asyncio.sleep(0.05)

    backend.script = script
    gateway = await gateways([backend.url], upstream="idle_timeout: 200ms, ttft_timeout: 200ms, total_timeout: 600ms")
    start = time.monotonic()
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        answer = await response.read()
    assert b"upstream_timeout_total" in answer
    assert 0.5 < time.monotonic() - start < 1.5
    assert gateway.books.outcomes[-1].completion_tokens > 5


async def test_comments_are_not_held_back_for_long(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        for _ in range(8):
            await wire.chunk(b": processing\n\n")
            await asyncio.sleep(0.2)
        await wire.chunk(delta("late", finish="stop") + DONE)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    start = time.monotonic()
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        first = await response.content.readany()
        assert first.startswith(b": processing") and 0.9 < time.monotonic() - start < 1.5
        rest = await response.read()
    assert (first + rest).count(b": processing\n\n") == 8 and rest.endswith(DONE)
    assert gateway.books.outcomes[-1].ttft_s == pytest.approx(1.6, abs=0.3)


async def test_a_reader_who_does_not_read_costs_bounded_memory_and_is_let_go(backends, gateways):
    backend = await backends()
    sent = 0

    async def script(wire, _seen):
        nonlocal sent
        await wire.sse_head()
        while True:
            await wire.chunk(delta("x" * 10_000))
            sent += 10_000

    backend.script = script
    gateway = await gateways([backend.url], server="write_timeout: 500ms")
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.at, limit=1024)
    data = json.dumps(ASK).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
    await asyncio.wait_for(backend.gone.wait(), 5)
    assert sent < 20_000_000
    assert gateway.books.outcomes[-1].reason.value == "client_cancelled"
    writer.close()


async def test_a_stream_nobody_asked_for_becomes_one_answer(backends, gateways, session):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(delta(role=True) + delta("one ") + delta("two", finish="stop") + USAGE + DONE)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    async with session.post(gateway.url + "/chat/completions", json={**ASK, "stream": False}) as response:
        answer = await response.json()
    assert answer["choices"][0]["message"]["content"] == "one two"
    assert gateway.books.outcomes[-1].completion_tokens == 3


async def test_a_compressed_stream_passes_unread(backends, gateways, session):
    import gzip

    backend = await backends()
    packed = gzip.compress(delta("secret", finish="stop") + DONE)

    async def script(wire, _seen):
        await wire.sse_head(("content-encoding", "gzip"))
        await wire.chunk(packed)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        assert await response.read() == delta("secret", finish="stop") + DONE
        assert response.headers["content-encoding"] == "gzip"
    assert gateway.books.outcomes[-1].is_estimated


async def test_a_client_that_does_not_read_is_not_held_against_the_backends_pace(backends, gateways, session):
    """16 MB are more than the buffers between us take, so the gateway has to stop reading from the backend, too."""
    from dataclasses import replace

    from gateway.assemble import build
    from gateway.core.budget.slis.itl import Itl
    from gateway.core.budget.slo import SloSpec
    from gateway.edges.scoring.scorer import Scoring

    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        for _ in range(1000):
            await wire.chunk(delta("x" * 16_000))
        await wire.chunk(delta(finish="stop") + USAGE + DONE)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    pace = SloSpec("pace", "itl", Itl.Options(1.0, 10.0, 0.8), 0.95, 86_400.0)
    gateway.runtime = build(replace(gateway.config, slos=(*gateway.config.slos, pace)), gateway.state, Scoring(), 2)
    async with session.post(gateway.url + "/chat/completions", json=ASK) as response:
        await response.content.readany()
        response.connection.transport.pause_reading()
        await asyncio.sleep(1.5)
        assert not gateway.books.outcomes, "the gateway is held up"
        response.connection.transport.resume_reading()
        body = await response.content.read()
    assert body.endswith(DONE) and len(body) > 15_000_000
    outcome = gateway.books.outcomes[-1]
    assert outcome.reason.value == "served" and outcome.total_s > 1.4
    assert outcome.stall_s < 0.8 and outcome.timelines[0].qoe == 1.0
