"""All backends over connections of our own: sends a request, and says in our own words what became of it.

What is a failed attempt (`UpstreamFailure`) and what an answer: 5xx, 429, 401 and 403, redirects and broken HTTP are failures,
an attempt may be made elsewhere; every other 4xx is the backend's answer to this client and passed on unchanged.

A reset before the first byte on a connection from the pool is not an attempt that failed: backends close idle connections,
and the close crosses our request on the way. It is sent once more, on a fresh connection.

The backend's key is put on here and nowhere else, and is never logged.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from gateway.domain.catalog import Backend
from gateway.domain.errors import Reason
from gateway.edges.upstream.clocks import Alarm, Clocks
from gateway.edges.upstream.connections import IDLE_CONNECTION_S, LOOK_EVERY_S, Broken, Connection, Origin
from gateway.edges.upstream.exchange import Target
from gateway.edges.upstream.framing import Malformed
from gateway.edges.upstream.options import UpstreamOptions
from gateway.edges.upstream.retry_after import retry_after_s
from gateway.ports import Call, Clock, Headers, Outbox, UpstreamFailure

ERROR_BODY_MAX = 64 * 1024
"""Bytes kept of a failed attempt's body: enough for every error object."""
AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
FAILED = {401: Reason.UPSTREAM_AUTH, 402: Reason.UPSTREAM_AUTH, 403: Reason.UPSTREAM_AUTH, 429: Reason.UPSTREAM_RATE_LIMITED}


class AiohttpUpstream:
    """Connections of one process to all backends; `ports.Upstream`."""

    def __init__(self, options: UpstreamOptions, clock: Clock, outbox: Outbox) -> None:
        self.options = options
        """Replaced by a config swap; the connection limit and connect timeout keep their first values."""
        self._clock, self._outbox = clock, outbox
        self._targets: dict[str, Target] = {}
        self._origins: dict[tuple[str, str], Origin] = {}
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(clock)
        self._connections_max = options.connections_max
        self._connect_timeout_s = clock.real_s(options.connect_timeout)
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False, skip_auto_headers=AUTO_HEADERS
        )
        """For engines' own pages."""
        self._looking = self._loop.call_later(LOOK_EVERY_S, self._look)

    async def send(self, backend: Backend, call: Call) -> "HttpAnswer":
        """Send a request and wait for the answer's head; cancelling the caller closes the connection.

        Raises: UpstreamFailure.
        """
        clocks = Clocks(self._clock, backend.id, call.ttft_timeout_s, self.options.idle_timeout, call.total_timeout_s, self._alarm)
        try:
            answer = HttpAnswer(backend.id, await self._post(backend, call, clocks), clocks)
        except BaseException:
            clocks.stop()
            raise
        status = answer.status
        if 200 <= status < 300 or (400 <= status < 500 and status not in FAILED):
            return answer
        raise await self._failure(backend, answer)

    async def get(self, url: str, headers: Mapping[str, str], timeout_s: float, body_max: int) -> tuple[int, bytes]:
        """Ask for a page of an engine's own (health, metrics); return status and at most `body_max` bytes.

        Raises: UpstreamFailure (UPSTREAM_UNREACHABLE) when no answer came in time.
        """
        try:
            async with (
                asyncio.timeout(self._clock.real_s(timeout_s)),
                self._session.get(URL(url), headers=headers, allow_redirects=False) as response,
            ):
                return response.status, await _at_most(response.content, body_max)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise UpstreamFailure(Reason.UPSTREAM_UNREACHABLE, f"{url}: {_said(exc)}") from exc

    async def close(self) -> None:
        """Close all connections."""
        self._looking.cancel()
        self._alarm.stop()
        for origin in self._origins.values():
            origin.close()
        await self._session.close()

    async def _post(self, backend: Backend, call: Call, clocks: Clocks) -> Connection:
        """Send a request and wait for the head of its answer; the connection is ours until it is let go."""
        target = self._target(backend)
        origin = target.origin
        connection: Connection | None = None
        try:
            clocks.wait()
            connection = origin.idle() or await origin.connection(self._connect_timeout_s)
            try:
                await connection.ask(target.request(call))
            except Broken:
                if not connection.was_used or connection.is_answering:
                    raise
                connection.abort()
                origin.drop_idle()
                connection = await origin.connection(self._connect_timeout_s)
                await connection.ask(target.request(call))
            return connection
        except BaseException as exc:
            is_partial = connection is not None and connection.is_answering
            if connection is not None:
                connection.abort()
            if isinstance(exc, asyncio.CancelledError) and clocks.has_struck():
                raise clocks.failure() from None
            failure = self._as_failure(backend, exc, is_partial)
            if failure is None:
                raise
            raise failure from exc
        finally:
            clocks.waited()

    def _as_failure(self, backend: Backend, exc: BaseException, is_partial: bool) -> UpstreamFailure | None:
        """Say in our own words why no head came; None for what is no failure of the backend."""
        if isinstance(exc, TimeoutError):
            message = f"backend {backend.id}: no connection within {self.options.connect_timeout:g} s"
            return UpstreamFailure(Reason.UPSTREAM_TIMEOUT_CONNECT, message)
        if isinstance(exc, Malformed):
            return UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, f"backend {backend.id}: not HTTP: {exc}")
        if isinstance(exc, Broken | OSError):
            reason = Reason.UPSTREAM_BAD_ANSWER if is_partial else Reason.UPSTREAM_UNREACHABLE
            return UpstreamFailure(reason, f"backend {backend.id}: {_said(exc)}")
        return None

    async def _failure(self, backend: Backend, answer: "HttpAnswer") -> UpstreamFailure:
        """Return the failure for an answer that is none, with the backend's own error object if it comes in time."""
        body = bytearray()
        try:
            async for chunk in answer.chunks():
                body += chunk
                if len(body) >= ERROR_BODY_MAX:
                    break
        except UpstreamFailure:
            body.clear()
        finally:
            answer.close()
        status = answer.status
        reason = FAILED.get(status, Reason.UPSTREAM_ERROR if status >= 500 else Reason.UPSTREAM_BAD_ANSWER)
        return UpstreamFailure(
            reason,
            f"backend {backend.id} answered {status}",
            status=status,
            headers=answer.headers,
            body=bytes(body) if len(body) < ERROR_BODY_MAX else b"",
            retry_after_s=retry_after_s(CIMultiDict(answer.headers), self._clock.wall_s()),
        )

    def _target(self, backend: Backend) -> Target:
        target = self._targets.get(backend.id)
        if target is None or target.backend is not backend:
            parts = urlsplit(backend.url)
            key = (parts.scheme, parts.netloc.rpartition("@")[2])
            origin = self._origins.get(key)
            if origin is None:
                origin = self._origins[key] = Origin(backend.url, self._connections_max, self._loop, self._outbox)
            target = self._targets[backend.id] = Target(backend, origin)
        return target

    def _look(self) -> None:
        before_s = self._loop.time() - IDLE_CONNECTION_S
        for origin in self._origins.values():
            origin.drop_old(before_s)
        self._looking = self._loop.call_later(LOOK_EVERY_S, self._look)


class HttpAnswer:
    """A backend's answer; `ports.UpstreamAnswer`. Its own iterator: an asynchronous generator costs 3 us more per answer."""

    __slots__ = ("_answer", "_backend", "_clocks", "_connection", "_is_over", "headers", "is_stream", "status")

    def __init__(self, backend: str, connection: Connection, clocks: Clocks) -> None:
        self._backend, self._connection, self._clocks = backend, connection, clocks
        answer = connection.answer
        assert answer is not None
        self._answer = answer
        self._is_over = False
        self.status: int = answer.status
        self.headers: Headers = answer.fields
        self.is_stream = answer.content_type.lower().startswith("text/event-stream")
        if not self.is_stream:
            clocks.first_token_came()

    def content_began(self) -> None:
        """Stop the first token's clock of a stream; the idle clock takes over."""
        self._clocks.first_token_came()

    def ready(self) -> bytes | None:
        """Return the whole body where it is all here; else None, and nothing is taken."""
        answer = self._answer
        if self._is_over or not answer.is_complete or not answer.body_bytes:
            return None
        data = self._connection.take()
        self._is_over = True
        self.close()
        return data

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield body bytes as they come.

        Raises: UpstreamFailure (UPSTREAM_TIMEOUT_*, UPSTREAM_CUT).
        """
        return self

    def __aiter__(self) -> "HttpAnswer":
        return self

    async def __anext__(self) -> bytes:
        answer, connection, clocks = self._answer, self._connection, self._clocks
        if self._is_over:
            raise StopAsyncIteration
        if answer.body_bytes:
            data = connection.take()
        else:
            try:
                if not answer.is_complete:
                    clocks.wait()
                data = await connection.read()
            except asyncio.CancelledError:
                if clocks.has_struck():
                    raise clocks.failure() from None
                raise
            except (Broken, Malformed) as exc:
                raise UpstreamFailure(Reason.UPSTREAM_CUT, f"backend {self._backend} broke off its answer: {_said(exc)}") from exc
            finally:
                clocks.waited()
        if answer.is_complete and not answer.body_bytes:
            self._is_over = True
            self.close()
            if not data:
                raise StopAsyncIteration
        return data

    def close(self) -> None:
        """Let go: an unfinished answer's connection is closed, a finished one's is kept."""
        self._clocks.stop()
        connection = self._connection
        if connection.answer is self._answer:
            connection.let_go()


async def _at_most(content: aiohttp.StreamReader, bytes_max: int) -> bytes:
    body = bytearray()
    while len(body) < bytes_max:
        data = await content.read(bytes_max - len(body))
        if not data:
            break
        body += data
    return bytes(body)


def _said(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__
