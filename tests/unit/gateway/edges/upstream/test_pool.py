"""What becomes of an attempt, in our own words (the whole list runs in tests/integration/gateway)."""

import asyncio

import pytest

from gateway.domain.catalog import Backend, Secret
from gateway.domain.errors import Reason
from gateway.edges.clock import SystemClock
from gateway.edges.outbox import TurnOutbox
from gateway.edges.upstream.options import UpstreamOptions
from gateway.edges.upstream.pool import ERROR_BODY_MAX, AiohttpUpstream
from gateway.ports import Call, UpstreamFailure


@pytest.fixture
async def upstream():
    made = AiohttpUpstream(UpstreamOptions(connect_timeout=0.3), SystemClock(), TurnOutbox())
    yield made
    await made.close()


@pytest.fixture
async def server():
    class Server:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        heads: list[bytes]
        closed: asyncio.Event
        port = 0

        async def serve(self, reader, writer):
            try:
                while True:
                    self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                    writer.write(self.answer)
            except (asyncio.IncompleteReadError, ConnectionError):
                self.closed.set()
                writer.close()

        @property
        def backend(self) -> Backend:
            return Backend("b", f"http://127.0.0.1:{self.port}/v1", "m", api_key=Secret("secret"))

    made = Server()
    made.heads, made.closed = [], asyncio.Event()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    yield made
    listener.close()


def call(path: str = "/chat/completions", ttft_s: float = 5.0) -> Call:
    return Call(path, b"", [("x-own", "1")], False, ttft_s, 5.0)


async def body_of(answer) -> bytes:
    return b"".join([chunk async for chunk in answer.chunks()])


async def test_a_body_that_came_with_its_head_is_ready_and_its_connection_used_again(upstream, server):
    for _ in range(2):
        answer = await upstream.send(server.backend, call())
        assert answer.ready() == b"ok" and answer.ready() is None
        assert await body_of(answer) == b""
        answer.close()
    assert len(server.heads) == 2 and not server.closed.is_set()


async def test_a_body_that_still_comes_is_not_ready_and_nothing_of_it_is_lost(upstream, server):
    server.answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"
    answer = await upstream.send(server.backend, call(ttft_s=0.3))
    assert answer.ready() is None
    assert await anext(answer.chunks()) == b"ok"
    answer.close()


async def failure(upstream, backend, made: Call | None = None) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await upstream.send(backend, made or call())
    return caught.value


async def test_the_key_the_query_and_only_our_headers_are_sent(upstream, server):
    answer = await upstream.send(server.backend, call("/chat/completions?a=%20b"))
    assert await body_of(answer) == b"ok" and answer.status == 200 and not answer.is_stream
    lines = server.heads[0].lower().split(b"\r\n")
    assert lines[0] == b"post /v1/chat/completions?a=%20b http/1.1"
    assert {line.split(b":")[0] for line in lines[1:] if line} == {b"host", b"x-own", b"authorization", b"content-length"}
    assert b"authorization: bearer secret" in lines


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.UPSTREAM_AUTH),
        (402, Reason.UPSTREAM_AUTH),
        (403, Reason.UPSTREAM_AUTH),
        (429, Reason.UPSTREAM_RATE_LIMITED),
        (500, Reason.UPSTREAM_ERROR),
        (503, Reason.UPSTREAM_ERROR),
        (307, Reason.UPSTREAM_BAD_ANSWER),
    ],
)
async def test_statuses_that_are_failed_attempts(upstream, server, status, reason):
    server.answer = b"HTTP/1.1 %d X\r\nretry-after: 3\r\nlocation: /elsewhere\r\ncontent-length: 2\r\n\r\nno" % status
    failed = await failure(upstream, server.backend)
    assert (failed.reason, failed.status, failed.body, failed.retry_after_s) == (reason, status, b"no", 3.0)
    assert "secret" not in failed.message and len(server.heads) == 1


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
async def test_other_refusals_are_answers(upstream, server, status):
    server.answer = b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\nno" % status
    answer = await upstream.send(server.backend, call())
    assert (answer.status, await body_of(answer)) == (status, b"no")


async def test_an_error_body_without_end_is_bounded(upstream, server):
    server.answer = b"HTTP/1.1 500 X\r\ncontent-length: 10000000\r\n\r\n" + b"x" * 200_000
    failed = await failure(upstream, server.backend)
    assert failed.reason is Reason.UPSTREAM_ERROR and len(failed.body) <= ERROR_BODY_MAX
    await asyncio.wait_for(server.closed.wait(), 1)


async def test_nobody_there_is_unreachable(upstream):
    failed = await failure(upstream, Backend("b", "http://127.0.0.1:1/v1", "m"))
    assert failed.reason is Reason.UPSTREAM_UNREACHABLE and failed.status is None
    assert (await failure(upstream, Backend("b", "http://no-such-host.invalid/v1", "m"))).reason in (
        Reason.UPSTREAM_UNREACHABLE,
        Reason.UPSTREAM_TIMEOUT_CONNECT,
    )


async def test_cancelling_closes_the_connection_at_once(upstream, server):
    server.answer = b""
    task = asyncio.ensure_future(upstream.send(server.backend, call()))
    while not server.heads:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.closed.wait(), 0.2)


async def test_letting_go_of_an_unfinished_answer_closes_and_of_a_finished_one_keeps(upstream, server):
    answer = await upstream.send(server.backend, call())
    await body_of(answer)
    answer.close()
    await asyncio.sleep(0.02)
    assert not server.closed.is_set()
    server.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf"
    answer = await upstream.send(server.backend, call())
    answer.close()
    await asyncio.wait_for(server.closed.wait(), 0.2)


async def test_a_page_of_an_engine_is_read_up_to_a_bound_or_is_a_failure(upstream, server):
    assert await upstream.get(f"http://127.0.0.1:{server.port}/health", {}, 1.0, 100) == (200, b"ok")
    assert await upstream.get(f"http://127.0.0.1:{server.port}/health", {}, 1.0, 1) == (200, b"o")
    server.answer = b""
    with pytest.raises(UpstreamFailure):
        await upstream.get(f"http://127.0.0.1:{server.port}/health", {}, 0.05, 100)
