"""All backends over plain aiohttp: sends a request, and says in our own words what became of it.

What is a failed attempt (`UpstreamFailure`) and what an answer: 5xx, 429, 401 and 403, redirects and broken HTTP are failures,
an attempt may be made elsewhere; every other 4xx is the backend's answer to this client and passed on unchanged.

A reset before the first byte on a connection from the pool is not an attempt that failed: backends close idle connections,
and the close crosses our request on the way. It is sent once more, on a fresh connection.

The backend's key is put on here and nowhere else, and is never logged.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from yarl import URL

from gateway.domain.catalog import Backend
from gateway.domain.errors import Reason
from gateway.edges.upstream.clocks import Clocks
from gateway.edges.upstream.connector import Connector, demand_fresh, was_reused
from gateway.edges.upstream.exchange import HEAD_FIELD_MAX, Exchange, Target, exchange
from gateway.edges.upstream.options import UpstreamOptions
from gateway.edges.upstream.retry_after import retry_after_s
from gateway.ports import Call, Clock, Headers, UpstreamFailure

ERROR_BODY_MAX = 64 * 1024
"""Bytes kept of a failed attempt's body: enough for every error object."""
IDLE_CONNECTION_S = 60.0
"""How long an unused connection is kept."""
AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
FAILED = {401: Reason.UPSTREAM_AUTH, 403: Reason.UPSTREAM_AUTH, 429: Reason.UPSTREAM_RATE_LIMITED}


class AiohttpUpstream:
    """Connections of one process to all backends; `ports.Upstream`."""

    def __init__(self, options: UpstreamOptions, clock: Clock) -> None:
        self.options = options
        """Replaced by a config swap; the connection limit and connect timeout keep their first values."""
        self._clock = clock
        self._targets: dict[str, Target] = {}
        self._loop = asyncio.get_running_loop()
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=clock.real_s(options.connect_timeout))
        self._connector = Connector(limit=0, limit_per_host=options.connections_max, keepalive_timeout=IDLE_CONNECTION_S, ttl_dns_cache=10)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=AUTO_HEADERS,
            max_line_size=HEAD_FIELD_MAX,
            max_field_size=HEAD_FIELD_MAX,
            timeout=self._timeout,
        )
        """For engines' own pages; requests go below it."""

    async def send(self, backend: Backend, call: Call) -> "AiohttpAnswer":
        """Send a request and wait for the answer's head; cancelling the caller closes the connection.

        Raises: UpstreamFailure.
        """
        clocks = Clocks(self._clock, backend.id, call.ttft_timeout_s, self.options.idle_timeout, call.total_timeout_s)
        try:
            answer = AiohttpAnswer(backend.id, await self._post(backend, call, clocks), clocks)
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
        await self._session.close()

    async def _post(self, backend: Backend, call: Call, clocks: Clocks) -> Exchange:
        target = self._target(backend)
        try:
            clocks.wait()
            try:
                return await exchange(self._connector, target, call, self._timeout)
            except (aiohttp.ServerDisconnectedError, ConnectionError, aiohttp.ClientOSError) as exc:
                if not was_reused() or isinstance(exc, aiohttp.ClientConnectorError) or _has_partial_head(exc):
                    raise
            demand_fresh(True)
            try:
                return await exchange(self._connector, target, call, self._timeout)
            finally:
                demand_fresh(False)
        except asyncio.CancelledError:
            if clocks.has_struck():
                raise clocks.failure() from None
            raise
        except TimeoutError as exc:
            message = f"backend {backend.id}: no connection within {self.options.connect_timeout:g} s"
            raise UpstreamFailure(Reason.UPSTREAM_TIMEOUT_CONNECT, message) from exc
        except aiohttp.http.HttpProcessingError as exc:
            said = exc.message.partition("\n")[0]
            raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, f"backend {backend.id}: not HTTP: {said}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            reason = Reason.UPSTREAM_BAD_ANSWER if _has_partial_head(exc) else Reason.UPSTREAM_UNREACHABLE
            raise UpstreamFailure(reason, f"backend {backend.id}: {_said(exc)}") from exc
        finally:
            clocks.waited()

    async def _failure(self, backend: Backend, answer: "AiohttpAnswer") -> UpstreamFailure:
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
            retry_after_s=retry_after_s(answer.fields, self._clock.wall_s()),
        )

    def _target(self, backend: Backend) -> Target:
        target = self._targets.get(backend.id)
        if target is None or target.backend is not backend:
            target = self._targets[backend.id] = Target(backend, self._loop)
        return target


class AiohttpAnswer:
    """A backend's answer; `ports.UpstreamAnswer`."""

    __slots__ = ("_backend", "_clocks", "_exchange", "headers", "is_stream", "status")

    def __init__(self, backend: str, exchanged: Exchange, clocks: Clocks) -> None:
        self._backend, self._exchange, self._clocks = backend, exchanged, clocks
        fields = exchanged.message.headers
        self.status: int = exchanged.message.code
        self.headers: Headers = tuple(fields.items())
        self.is_stream = fields.get("Content-Type", "").lower().startswith("text/event-stream")
        if not self.is_stream:
            clocks.first_token_came()

    @property
    def fields(self) -> Mapping[str, str]:
        """The headers, case-insensitive."""
        return self._exchange.message.headers

    def content_began(self) -> None:
        """Stop the first token's clock of a stream; the idle clock takes over."""
        self._clocks.first_token_came()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield body bytes as they come.

        Raises: UpstreamFailure (UPSTREAM_TIMEOUT_*, UPSTREAM_CUT).
        """
        clocks, content = self._clocks, self._exchange.content
        while True:
            try:
                if not content.is_eof():
                    clocks.wait()
                data = await content.readany()
            except asyncio.CancelledError:
                if clocks.has_struck():
                    raise clocks.failure() from None
                raise
            except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as exc:
                raise UpstreamFailure(Reason.UPSTREAM_CUT, f"backend {self._backend} broke off its answer: {_said(exc)}") from exc
            finally:
                clocks.waited()
            is_last = content.at_eof()
            if is_last:
                clocks.stop()
                self._exchange.let_go()
            if data:
                yield data
            if is_last:
                return

    def close(self) -> None:
        """Let go: an unfinished answer's connection is closed, a finished one's is kept."""
        self._clocks.stop()
        self._exchange.let_go()


async def _at_most(content: aiohttp.StreamReader, bytes_max: int) -> bytes:
    body = bytearray()
    while len(body) < bytes_max:
        data = await content.read(bytes_max - len(body))
        if not data:
            break
        body += data
    return bytes(body)


def _has_partial_head(exc: BaseException) -> bool:
    """Say whether a disconnected backend had begun to answer."""
    message: Any = exc.message if isinstance(exc, aiohttp.ServerDisconnectedError) else None
    return message is not None and not isinstance(message, str)


def _said(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__
