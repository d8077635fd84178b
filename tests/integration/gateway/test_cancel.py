"""A client that leaves: its backend is told within 200 ms, at every stage, and what was used is accounted."""

import asyncio
import json
import time

import pytest

WITHIN_S = 0.2
STREAM = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "tell me " * 20}]}
WHOLE = {**STREAM, "stream": False}


async def sent(gateway, ask) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    data = json.dumps(ask).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
    return reader, writer


async def until(backend) -> None:
    for _ in range(200):
        if backend.seen:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the backend was not asked")


def content(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}).encode() + b"\n\n"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "stage", ["whole, before the head", "whole, in the body", "stream, before the head", "stream, before content", "stream, in content"]
)
async def test_a_client_that_leaves_cancels_its_backend(backends, gateways, stage, how):
    backend = await backends()

    async def script(wire, _seen):
        if stage == "whole, in the body":
            await wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
        elif stage == "stream, before content":
            await wire.sse_head()
            await wire.chunk(b": wait\n\n")
        elif stage == "stream, in content":
            await wire.sse_head()
            for _ in range(10):
                await wire.chunk(content("word "))
        await wire.reader.read(1)
        raise ConnectionError

    backend.script = script
    gateway = await gateways([backend.url])
    reader, writer = await sent(gateway, WHOLE if stage.startswith("whole") else STREAM)
    await until(backend)
    if stage == "stream, in content":
        await reader.readuntil(b"word ")
    await asyncio.sleep(0.1)
    left_s = time.monotonic()
    if how == "reset":
        writer.transport.abort()
    else:
        writer.close()
    await asyncio.wait_for(backend.gone.wait(), WITHIN_S)
    assert time.monotonic() - left_s < WITHIN_S
    await asyncio.sleep(0.02)
    assert len(gateway.books.outcomes) == 1
    outcome = gateway.books.outcomes[0]
    assert outcome.reason.value == "client_cancelled" and outcome.is_estimated and outcome.prompt_tokens > 10
    assert gateway.books.usd[0] > 0 and gateway.state.reserved_usd == pytest.approx(0, abs=1e-12)
    if stage == "stream, in content":
        assert 8 <= outcome.completion_tokens <= 25
    assert gateway.port.in_flight == 0


async def test_a_client_that_leaves_while_it_waits_in_the_queue_is_forgotten(backends, gateways):
    backend = await backends()
    go = asyncio.Event()

    async def script(wire, _seen):
        await go.wait()
        await wire.json(
            200, b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":900,"completion_tokens":1,"total_tokens":901}}'
        )

    backend.script = script
    gateway = await gateways([backend.url])
    from dataclasses import replace

    for name, model in list(gateway.config.catalog.models.items()):
        hosted = tuple(replace(b, is_self_hosted=True, pending_tokens_max=100) for b in model.backends)
        gateway.config.catalog.models[name] = replace(model, backends=hosted)  # type: ignore[index]
    long = {"model": "one", "messages": [{"role": "user", "content": "word " * 600}]}
    first = await sent(gateway, long)
    await until(backend)
    second, third = await sent(gateway, long), await sent(gateway, long)
    for _ in range(100):
        await asyncio.sleep(0.01)
        if gateway.runtime.dispatcher.waiting == 2:
            break
    assert gateway.runtime.dispatcher.waiting == 2 and len(backend.seen) == 1
    second[1].close()
    await asyncio.sleep(0.1)
    assert gateway.runtime.dispatcher.waiting == 1
    assert [o.reason.value for o in gateway.books.outcomes] == ["client_cancelled"] and gateway.books.usd == [0.0]
    go.set()
    for reader, writer in (first, third):
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert len(backend.seen) == 2 and gateway.runtime.dispatcher.waiting == 0


async def test_a_client_that_leaves_between_two_attempts_ends_the_request(backends, gateways):
    backend = await backends()

    async def script(wire, _seen):
        await wire.json(429, b"{}", ("retry-after", "1"))

    backend.script = script
    gateway = await gateways([backend.url])
    _, writer = await sent(gateway, {**WHOLE, "model": "one"})
    await until(backend)
    await asyncio.sleep(0.1)
    assert not gateway.books.outcomes, "it waits for the second that the backend asked for"
    writer.transport.abort()
    await asyncio.sleep(0.1)
    assert [o.reason.value for o in gateway.books.outcomes] == ["client_cancelled"]
    await asyncio.sleep(1.2)
    assert len(backend.seen) == 1


async def test_a_thousand_clients_that_leave_leave_nothing_behind(backends, gateways):
    backend = await backends()

    async def script(wire, _seen):
        await wire.reader.read(1)
        raise ConnectionError

    backend.script = script
    gateway = await gateways([backend.url])
    for _ in range(10):
        streams = [await sent(gateway, STREAM) for _ in range(30)]
        await asyncio.sleep(0.05)
        for _, writer in streams:
            writer.transport.abort()
    for _ in range(100):
        await asyncio.sleep(0.02)
        if gateway.port.in_flight == 0:
            break
    assert gateway.port.in_flight == 0 and gateway.state.reserved_usd == pytest.approx(0, abs=1e-9)
    assert len(gateway.books.outcomes) == 300 and {o.reason.value for o in gateway.books.outcomes} == {"client_cancelled"}
    for model in gateway.config.catalog.models.values():
        for backend_ in model.backends:
            account = gateway.state.placement.account(backend_.id, model.name)
            assert account.load.pending_tokens(gateway.clock.now_s()) == 0
