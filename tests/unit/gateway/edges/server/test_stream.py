"""The client's side, over real sockets and aiohttp's own parser."""

import asyncio

import pytest
from aiohttp import web

from gateway.edges.clock import SystemClock
from gateway.edges.server.stream import HttpStream, Sent
from gateway.ports import ClientGone


@pytest.fixture
async def serve():
    """Serve one handler of HttpStream; return the port."""
    listeners = []

    async def make(handler, write_timeout_s: float = 5.0):
        async def handle(request):
            stream = HttpStream(request, SystemClock(), write_timeout_s, keep_alive=True)
            await handler(stream)
            return Sent(stream.keep_alive and stream.is_whole)

        server = web.Server(handle, handler_cancellation=True)
        listeners.append(await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0))
        return listeners[-1].sockets[0].getsockname()[1]

    yield make
    for listener in listeners:
        listener.close()


async def ask(port: int, line: bytes = b"GET / HTTP/1.1", times: int = 1) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for i in range(times):
        last = b"Connection: close\r\n" if i == times - 1 else b""
        writer.write(line + b"\r\nHost: x\r\n" + last + b"\r\n")
    answer = await asyncio.wait_for(reader.read(), 3)
    writer.close()
    return answer


async def test_head_and_first_bytes_leave_together_and_the_connection_is_kept(serve):
    async def handler(stream):
        await stream.start(200, [("content-type", "text/plain"), ("x-a", "1"), ("x-a", "2")], 2)
        await stream.write(b"ok")
        await stream.finish()

    answer = await ask(await serve(handler), times=2)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2 and answer.count(b"\r\n\r\nok") == 2
    assert answer.count(b"x-a: 1\r\nx-a: 2") == 2 and answer.count(b"Date: ") == 2
    assert answer.count(b"Connection: close") == 1


async def test_a_streamed_body_is_chunked(serve):
    async def handler(stream):
        await stream.start(200, [], None)
        await stream.write(b"one")
        await stream.write(b"")
        await stream.write(b"three")
        await stream.finish()

    answer = await ask(await serve(handler))
    assert answer.endswith(b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n") and b"Transfer-Encoding: chunked" in answer


async def test_a_refusal_that_must_close_closes(serve):
    async def handler(stream):
        await stream.start(400, [("connection", "close")], 1)
        await stream.write(b"x")
        await stream.finish()

    answer = await ask(await serve(handler), times=2)
    assert answer.count(b"HTTP/1.1 400 Bad Request") == 1 and answer.count(b"Connection: close") == 1


async def test_head_requests_get_no_body(serve):
    async def handler(stream):
        await stream.start(200, [], 2)
        await stream.write(b"ok")
        await stream.finish()

    answer = await ask(await serve(handler), b"HEAD / HTTP/1.1")
    assert answer.endswith(b"\r\n\r\n") and b"Content-Length: 2" in answer


async def test_an_aborted_answer_is_no_whole_one(serve):
    async def handler(stream):
        await stream.start(200, [], 10)
        await stream.write(b"half")
        stream.abort()

    port = await serve(handler)
    try:
        assert not (await ask(port)).endswith(b"0\r\n\r\n")
    except ConnectionError:
        pass


async def test_a_header_that_cannot_be_written_is_left_out_and_the_rest_goes(serve):
    async def handler(stream):
        await stream.start(200, [("x-bad", "a\udcff"), ("x-worse", "a\x01"), ("x-good", "1")], 2)
        await stream.write(b"ok")
        await stream.finish()

    answer = await ask(await serve(handler))
    assert answer.startswith(b"HTTP/1.1 200 OK") and b"x-good: 1" in answer and b"x-bad" not in answer and answer.endswith(b"ok")


async def test_who_reads_nothing_is_let_go_and_who_reads_slowly_is_not(serve):
    seen: list[str] = []

    async def handler(stream):
        await stream.start(200, [], None)
        try:
            for _ in range(400):
                await stream.write(b"x" * 50_000)
            seen.append("whole")
        except ClientGone:
            seen.append("gone")
        await asyncio.sleep(0)

    port = await serve(handler, write_timeout_s=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(100):
        await asyncio.sleep(0.02)
        if seen:
            break
    assert seen == ["gone"]
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(300):
        if not await reader.read(1_000_000) or len(seen) == 2:
            break
        await asyncio.sleep(0.005)
    assert seen == ["gone", "whole"]
    writer.close()


async def test_a_client_that_left_is_noticed(serve):
    done: asyncio.Future[tuple[bool, bool]] = asyncio.get_running_loop().create_future()

    async def handler(stream):
        before = stream.is_gone
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            done.set_result((before, stream.is_gone))
            raise

    port = await serve(handler)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.05)
    writer.close()
    assert await asyncio.wait_for(done, 0.2) == (False, True)
