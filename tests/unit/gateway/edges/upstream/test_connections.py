"""Connections are clean, known to be reused, bounded and given back."""

import asyncio

import pytest

from gateway.edges.outbox import TurnOutbox
from gateway.edges.upstream.connections import UNREAD_BYTES_MAX, Broken, Origin

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ASK = b"POST / HTTP/1.1\r\n\r\n"


class Server:
    """Answers every request with the same bytes, and can send more afterwards."""

    def __init__(self) -> None:
        self.answer, self.surplus, self.port, self.connections = ANSWER, b"", 0, 0
        self.closed, self.reads = asyncio.Event(), True
        self.unsent = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                if self.reads:
                    await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer)
                self.unsent = writer.transport.get_write_buffer_size()
                if self.surplus:
                    await asyncio.sleep(0.01)
                    writer.write(self.surplus)
                if not self.reads:
                    await asyncio.sleep(10)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            writer.close()


@pytest.fixture
async def server():
    made = Server()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    yield made
    listener.close()


@pytest.fixture
async def origin(server):
    made = Origin(f"http://127.0.0.1:{server.port}/v1", 2, asyncio.get_running_loop(), TurnOutbox())
    yield made
    made.close()


async def get(origin: Origin, request: bytes = ASK) -> tuple[bytes, bool]:
    connection = await origin.connection(1.0)
    was_used = connection.was_used
    await connection.ask(request)
    body = b""
    while data := await connection.read():
        body += data
    connection.let_go()
    connection.let_go()
    return body, was_used


async def test_a_clean_connection_is_used_again_and_that_is_known(server, origin):
    assert [await get(origin) for _ in range(3)] == [(b"ok", False), (b"ok", True), (b"ok", True)]
    assert server.connections == 1


@pytest.mark.parametrize("surplus", [ANSWER, b"H", b"HTTP/1.1 200", b"\r\n"])
async def test_a_connection_with_bytes_nobody_asked_for_is_not_used_again(server, origin, surplus):
    server.surplus = surplus
    for i in range(1, 4):
        assert await get(origin) == (b"ok", False)
        assert server.connections == i
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("answer", [ANSWER[:-1], ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), ANSWER + ANSWER])
async def test_an_unfinished_closing_or_overfull_answer_takes_its_connection_along(server, origin, answer):
    server.answer = answer
    connection = await origin.connection(1.0)
    await connection.ask(ASK)
    await connection.read()
    connection.let_go()
    await asyncio.wait_for(server.closed.wait(), 0.5)
    assert origin.open == 0


async def test_a_backend_that_answers_before_it_has_read_the_request_gets_no_other_on_that_connection(server, origin):
    server.reads = False
    assert await get(origin, b"x" * 20_000_000) == (b"ok", False)
    server.reads = True
    assert await get(origin) == (b"ok", False) and server.connections == 2


async def test_there_are_never_more_connections_than_there_may_be_and_who_waits_is_called(server, origin):
    held = [await origin.connection(1.0) for _ in range(2)]
    waiting = [asyncio.ensure_future(get(origin)) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert origin.open == 2 and not any(task.done() for task in waiting)
    waiting[0].cancel()
    held[0].abort()
    assert await asyncio.wait_for(asyncio.gather(*waiting[1:]), 1) == [(b"ok", False), (b"ok", True)]
    assert origin.open == 2 and server.connections == 3


async def test_a_connection_that_cannot_be_made_is_not_counted():
    origin = Origin("http://127.0.0.1:1/v1", 1, asyncio.get_running_loop(), TurnOutbox())
    for _ in range(3):
        with pytest.raises(OSError):
            await origin.connection(1.0)
    assert origin.open == 0


async def test_idle_connections_go_when_one_is_found_dead_or_when_they_are_old(server, origin):
    assert (await get(origin))[1] is False
    origin.drop_old(asyncio.get_running_loop().time() - 5)
    assert (await get(origin))[1] is True
    origin.drop_old(asyncio.get_running_loop().time() + 5)
    assert (await get(origin))[1] is False
    origin.drop_idle()
    assert (await get(origin))[1] is False and origin.open == 1


async def test_a_backend_that_hangs_up_is_broken_and_forgotten(server, origin):
    server.answer = b""
    connection = await origin.connection(1.0)
    asyncio.get_running_loop().call_later(0.02, origin.close)
    with pytest.raises(Broken):
        await connection.ask(ASK)
    assert origin.open == 0 and not connection.is_usable()


async def test_a_reader_that_falls_behind_stops_the_backend(server, origin):
    server.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n" + b"x" * 30_000_000
    connection = await origin.connection(1.0)
    answer = await connection.ask(ASK)
    await asyncio.sleep(0.1)
    assert UNREAD_BYTES_MAX < answer.body_bytes < 10 * UNREAD_BYTES_MAX and server.unsent > 10_000_000
    total = 0
    while data := await connection.read():
        total += len(data)
    assert total == 30_000_000


async def test_an_answer_that_ends_with_its_connection_is_whole(server, origin):
    server.answer, server.reads = b"HTTP/1.1 200 OK\r\n\r\nhalf", False
    connection = await origin.connection(1.0)
    await connection.ask(ASK)
    assert await connection.read() == b"half"
    connection.eof_received()
    assert await connection.read() == b""
    connection.let_go()
    assert origin.open == 0
