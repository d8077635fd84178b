"""What goes out on a connection, byte by byte, and when a connection may be used again."""

import asyncio

import aiohttp
import pytest

from gateway.domain.catalog import Backend, Secret
from gateway.edges.upstream.connector import Connector
from gateway.edges.upstream.exchange import Target, exchange
from gateway.ports import Call

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=1.0)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        self.answer, self.port, self.connections = OK, 0, 0
        self.got = bytearray()
        self.closed = asyncio.Event()
        self.reads = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                if self.reads:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
                    self.got += head + await reader.readexactly(length)
                writer.write(self.answer)
                if not self.reads:
                    await asyncio.sleep(10)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            writer.close()

    @property
    def target(self) -> Target:
        backend = Backend("b", f"http://127.0.0.1:{self.port}/v1", "m", api_key=Secret("secret"))
        return Target(backend, asyncio.get_running_loop())


@pytest.fixture
async def server():
    made = Server()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    yield made
    listener.close()


@pytest.fixture
async def connector():
    made = Connector()
    yield made
    await made.close()


def call(body: bytes = b'{"a":1}', headers: tuple[tuple[str, str], ...] = (), path: str = "/chat/completions") -> Call:
    return Call(path, body, headers, False, 5.0, 5.0)


async def test_a_request_goes_out_whole_with_host_key_and_length(server, connector):
    made = await exchange(connector, server.target, call(headers=(("X-Own", "1"), ("x-own", "caf\udce9")), path="/a?b=%20"), TIMEOUT)
    assert await made.content.read() == b"ok" and made.message.code == 200
    made.let_go()
    head, _, body = bytes(server.got).partition(b"\r\n\r\n")
    assert body == b'{"a":1}'
    assert head.split(b"\r\n") == [
        b"POST /v1/a?b=%20 HTTP/1.1",
        b"Host: 127.0.0.1:%d" % server.port,
        b"Authorization: Bearer secret",
        b"X-Own: 1",
        b"x-own: caf\xe9",
        b"Content-Length: 7",
    ]


async def test_a_whole_answers_connection_is_used_again_and_letting_go_twice_is_once(server, connector):
    for _ in range(3):
        made = await exchange(connector, server.target, call(), TIMEOUT)
        await made.content.read()
        made.let_go()
        made.let_go()
    assert server.connections == 1


@pytest.mark.parametrize("answer", [OK[:-1], b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", OK + OK])
async def test_an_unfinished_closing_or_overfull_answer_takes_its_connection_along(server, connector, answer):
    server.answer = answer
    made = await exchange(connector, server.target, call(), TIMEOUT)
    await asyncio.sleep(0.02)
    if answer.endswith(b"ok"):
        await made.content.read()
    made.let_go()
    await asyncio.wait_for(server.closed.wait(), 0.5)


async def test_interim_answers_are_passed_over(server, connector):
    server.answer = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK
    made = await exchange(connector, server.target, call(), TIMEOUT)
    assert made.message.code == 200 and await made.content.read() == b"ok"
    made.let_go()


async def test_a_backend_that_answers_before_it_has_read_the_request_gets_no_other_on_that_connection(server, connector):
    server.reads = False
    made = await exchange(connector, server.target, call(b"x" * 20_000_000), TIMEOUT)
    assert await made.content.read() == b"ok"
    made.let_go()
    server.reads = True
    made = await exchange(connector, server.target, call(), TIMEOUT)
    await made.content.read()
    made.let_go()
    assert server.connections == 2


async def test_a_cancelled_caller_closes_the_connection_even_with_a_request_half_sent(server, connector):
    server.reads, server.answer = False, b""
    task = asyncio.ensure_future(exchange(connector, server.target, call(b"x" * 20_000_000), TIMEOUT))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not connector._acquired, "nothing stays counted"
