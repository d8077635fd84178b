"""The end of a process: readiness red, nobody new, streams finish, the rest is cut and told."""

import asyncio
import json
import time

ASK = json.dumps({"model": "one", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(ASK), ASK)
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"w"},"finish_reason":null}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


async def open_stream(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    writer.write(REQUEST)
    await reader.readuntil(WORD)
    return reader, writer


async def test_open_streams_finish_and_nobody_new_comes_in(backends, gateways):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        for _ in range(10):
            await wire.chunk(WORD)
            await asyncio.sleep(0.05)
        await wire.chunk(END)
        await wire.end()

    backend.script = script
    gateway = await gateways([backend.url])
    reader, _ = await open_stream(gateway)
    idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    idle_writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    await idle_reader.readuntil(b"}")
    draining = asyncio.ensure_future(gateway.port.drain(5.0))
    await asyncio.sleep(0.05)
    assert gateway.port.is_draining
    try:
        late_reader, late_writer = await asyncio.open_connection("127.0.0.1", gateway.at)
        late_writer.write(REQUEST)
        assert await late_reader.read() == b""
    except ConnectionError:
        pass
    assert await asyncio.wait_for(idle_reader.read(), 1) == b"", "an idle connection is closed at once"
    rest = await reader.read()
    assert b"data: [DONE]" in rest
    assert await draining == 0
    assert gateway.books.outcomes[-1].reason.value == "served"


async def test_what_does_not_finish_in_time_is_cut_and_told_so(backends, gateways):
    backend = await backends()

    async def script(wire, _seen):
        await wire.sse_head()
        await wire.chunk(WORD)
        await wire.reader.read(1)
        raise ConnectionError

    backend.script = script
    gateway = await gateways([backend.url])
    reader, _ = await open_stream(gateway)
    start = time.monotonic()
    assert await gateway.port.drain(0.3) == 1
    assert 0.25 < time.monotonic() - start < 1.5
    rest = await reader.read()
    assert b'"code":"shutting_down"' in rest and b"[DONE]" not in rest
    assert gateway.books.outcomes[-1].reason.value == "shutting_down"
    await asyncio.wait_for(backend.gone.wait(), 0.5)


async def test_a_request_on_a_connection_that_was_open_is_told_that_we_are_going(backends, gateways):
    backend = await backends()
    gateway = await gateways([backend.url])
    gateway.port.is_draining = True
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    writer.write(b"GET /health/readiness HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.read()
    assert head.startswith(b"HTTP/1.1 503") and b"Connection: close" in head
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    writer.write(REQUEST)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 503") and b"shutting_down" in answer and b"retry-after" in answer.lower()
    assert not backend.seen
