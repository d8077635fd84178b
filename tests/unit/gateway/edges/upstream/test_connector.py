"""The pool's three rules: clean connections only, reuse is known, fresh ones on demand."""

import asyncio

import aiohttp
import pytest

from gateway.edges.upstream.connector import Connector, demand_fresh, was_reused

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
async def server():
    class Server:
        connections = 0
        surplus = b""
        port = 0

        async def serve(self, reader, writer):
            self.connections += 1
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(ANSWER)
                    if self.surplus:
                        await asyncio.sleep(0.01)
                        writer.write(self.surplus)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

    made = Server()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    yield made
    listener.close()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(connector=Connector()) as made:
        yield made


async def get(session, server) -> bytes:
    async with session.get(f"http://127.0.0.1:{server.port}/") as response:
        return await response.read()


async def test_a_clean_connection_is_used_again_and_that_is_known(session, server):
    assert await get(session, server) == b"ok" and not was_reused()
    assert await get(session, server) == b"ok" and was_reused()
    assert server.connections == 1


@pytest.mark.parametrize("surplus", [ANSWER, b"H", b"HTTP/1.1 200", b"\r\n"])
async def test_a_connection_with_bytes_nobody_asked_for_is_not_used_again(session, server, surplus):
    server.surplus = surplus
    for i in range(1, 4):
        assert await get(session, server) == b"ok" and not was_reused()
        assert server.connections == i
        await asyncio.sleep(0.05)


async def test_a_fresh_connection_can_be_demanded_and_idle_ones_go(session, server):
    await asyncio.gather(get(session, server), get(session, server))
    before = server.connections
    demand_fresh(True)
    assert await get(session, server) == b"ok" and not was_reused()
    demand_fresh(False)
    assert server.connections == before + 1
    assert await get(session, server) == b"ok" and was_reused()
