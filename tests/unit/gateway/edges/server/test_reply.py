"""A usual call's answer, over real sockets."""

import asyncio
from itertools import count
from typing import Any

import pytest

from gateway.edges.clock import SystemClock
from gateway.edges.outbox import TurnOutbox
from gateway.edges.server.limits import Server
from gateway.edges.server.options import ServerOptions
from gateway.edges.server.reply import TOGETHER_BYTES_MAX, Reply
from gateway.ports import ClientGone

CALL = b"POST /call HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


class Gate:
    """Answers each usual call with one handler."""

    options, usual_paths = ServerOptions(), frozenset({"/call"})

    def __init__(self, handler: Any, write_timeout_s: float) -> None:
        self._handler, self._write_timeout_s = handler, write_timeout_s

    def answer_usual(self, connection: Any, call: Any, body: bytes) -> Reply:
        assert body == b"body" and call.length == 4
        reply = Reply(connection, TurnOutbox(), SystemClock(), self._write_timeout_s, keep_alive=True)
        reply.task = asyncio.ensure_future(self._run(reply))
        return reply

    async def _run(self, reply: Reply) -> None:
        try:
            if reply.begin():
                await self._handler(reply)
        finally:
            reply.end()

    def turned_away(self, _reason: Any) -> None:
        raise AssertionError("nothing is turned away here")


@pytest.fixture
async def serve():
    listeners = []

    async def make(handler: Any, write_timeout_s: float = 5.0) -> int:
        server = Server(handler, Gate(handler, write_timeout_s), lambda: 5.0, 5.0)  # type: ignore[arg-type]
        listeners.append((await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0), server))
        return int(listeners[-1][0].sockets[0].getsockname()[1])

    yield make
    for listener, server in listeners:
        listener.close()
        server.stop_looking()


async def ask(port: int, *parts: bytes, wait_s: float = 0.1) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0.02)
    try:
        async with asyncio.timeout(wait_s):
            while got := await reader.read(65536):
                answer += got
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return answer


async def ok(reply: Reply) -> None:
    await reply.start(200, [("x-a", "1"), ("x-a", "2")], 2)
    await reply.write(b"ok")
    await reply.finish()


async def test_a_whole_answer_and_the_connection_is_kept(serve):
    port = await serve(ok)
    answer = await ask(port, CALL, CALL)
    assert answer.count(b"HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\nContent-Length: 2\r\nDate: ") == 2 and answer.count(b"\r\n\r\nok") == 2


@pytest.mark.parametrize("parts", [(CALL[:-4], b"bo", b"dy"), (CALL + CALL[:-3], CALL[-3:]), (CALL + CALL,), (CALL[:-1], b"y" + CALL)])
async def test_a_body_may_come_in_pieces_and_the_next_call_behind_it(serve, parts):
    async def handler(reply):
        await asyncio.sleep(0.03)
        await ok(reply)

    answer = await ask(await serve(handler), *parts, wait_s=0.4)
    assert answer.count(b"\r\n\r\nok") == b"".join(parts).count(b"POST")


async def test_a_streamed_body_is_chunked(serve):
    async def handler(reply):
        await reply.start(200, [], None)
        for data in (b"one", b"", b"three"):
            await reply.write(data)
        await reply.finish()

    answer = await ask(await serve(handler), CALL)
    assert answer.endswith(b"\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n") and b"Transfer-Encoding: chunked" in answer


async def test_an_answer_without_a_body_has_a_head_all_the_same(serve):
    async def handler(reply):
        await reply.start(204, [], 0)
        await reply.finish()

    assert (await ask(await serve(handler), CALL)).startswith(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n")


async def test_a_refusal_that_must_close_closes(serve):
    async def handler(reply):
        await reply.start(400, [("connection", "close")], 1)
        await reply.write(b"x")
        await reply.finish()

    answer = await ask(await serve(handler), CALL + CALL, wait_s=3.0)
    assert answer.count(b"HTTP/1.1 400 Bad Request") == 1 and answer.count(b"Connection: close") == 1


async def test_an_aborted_answer_is_no_whole_one(serve):
    async def handler(reply):
        await reply.start(200, [], None)
        await reply.write(b"half")
        reply.abort()

    assert not (await ask(await serve(handler), CALL, wait_s=3.0)).endswith(b"0\r\n\r\n")


async def test_a_header_that_cannot_be_written_is_left_out_and_the_rest_goes(serve):
    async def handler(reply):
        await reply.start(200, [("x-bad", "a\udcff"), ("x-worse", "a\r\nb: c"), ("x-good", "é")], 2)
        await reply.write(b"ok")
        await reply.finish()

    answer = await ask(await serve(handler), CALL)
    assert "x-good: é".encode() in answer and b"x-bad" not in answer and b"b: c" not in answer and answer.endswith(b"ok")


async def test_who_leaves_is_noticed_and_cancels(serve):
    seen: list[str] = []

    async def handler(reply):
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            seen.append("cancelled" if reply.is_gone else "cut")
            with pytest.raises(ClientGone):
                await reply.finish()
            raise

    _, writer = await asyncio.open_connection("127.0.0.1", await serve(handler))
    writer.write(CALL)
    await asyncio.sleep(0.05)
    writer.transport.abort()
    await asyncio.sleep(0.05)
    assert seen == ["cancelled"]


async def test_who_reads_nothing_is_let_go(serve):
    gone = asyncio.Event()

    async def handler(reply):
        await reply.start(200, [], None)
        try:
            for _ in range(400):
                await reply.write(b"x" * 50_000)
        except ClientGone:
            gone.set()

    _, writer = await asyncio.open_connection("127.0.0.1", await serve(handler, 0.2), limit=1024)
    writer.write(CALL)
    await asyncio.wait_for(gone.wait(), 3)
    writer.close()


async def test_a_whole_answer_before_a_close_is_not_lost(serve):
    async def last(reply: Reply) -> None:
        await reply.start(200, [("connection", "close")], 2)
        await reply.write(b"o")
        await reply.write(b"k")
        await reply.finish()

    answer = await ask(await serve(last), CALL)
    assert answer.endswith(b"\r\n\r\nok") and b"Connection: close" in answer


async def test_pieces_of_an_answer_keep_their_order_whatever_their_size(serve):
    async def pieces(reply: Reply) -> None:
        await reply.start(200, [], 3 + 2 * TOGETHER_BYTES_MAX)
        for piece in (b"a", b"b" * 2 * TOGETHER_BYTES_MAX, b"c", b"d"):
            await reply.write(piece)
        await reply.finish()

    body = (await ask(await serve(pieces), CALL, wait_s=0.3)).partition(b"\r\n\r\n")[2]
    assert body == b"a" + b"b" * 2 * TOGETHER_BYTES_MAX + b"cd"


async def test_calls_sent_in_one_go_are_answered_in_order(serve):
    seen = count()

    async def numbered(reply: Reply) -> None:
        body = b"%d" % next(seen)
        await reply.start(200, [], len(body))
        await reply.write(body)
        await reply.finish()

    answer = await ask(await serve(numbered), CALL * 5)
    assert [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"0", b"1", b"2", b"3", b"4"]
