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
from gateway.edges.upstream.options import UpstreamOptions
from gateway.edges.upstream.retry_after import retry_after_s
from gateway.ports import Call, Clock, Headers, UpstreamFailure

ERROR_BODY_MAX = 64 * 1024
"""Bytes kept of a failed attempt's body: enough for every error object."""
HEAD_FIELD_MAX = 16 * 1024
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
        self._urls: dict[tuple[str, str], URL] = {}
        self._session = aiohttp.ClientSession(
            connector=Connector(limit=0, limit_per_host=options.connections_max, keepalive_timeout=IDLE_CONNECTION_S, ttl_dns_cache=10),
            connector_owner=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=AUTO_HEADERS,
            max_line_size=HEAD_FIELD_MAX,
            max_field_size=HEAD_FIELD_MAX,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=clock.real_s(options.connect_timeout)),
        )

    async def send(self, backend: Backend, call: Call) -> "AiohttpAnswer":
        """Send a request and wait for the answer's head; cancelling the caller closes the connection.

        Raises: UpstreamFailure.
        """
        clocks = Clocks(self._clock, backend.id, call.ttft_timeout_s, self.options.idle_timeout, call.total_timeout_s)
        try:
            response = await self._post(backend, call, clocks)
        except BaseException:
            clocks.stop()
            raise
        answer = AiohttpAnswer(backend.id, response, clocks)
        if response.status < 300 or (400 <= response.status < 500 and response.status not in FAILED):
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

    async def _post(self, backend: Backend, call: Call, clocks: Clocks) -> aiohttp.ClientResponse:
        url = self._url(backend.url, call.path)
        headers = list(call.headers)
        if backend.api_key is not None:
            headers.append(("Authorization", f"Bearer {backend.api_key.reveal()}"))
        try:
            clocks.wait()
            try:
                return await self._session.post(url, data=call.body, headers=headers, allow_redirects=False)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as exc:
                if not was_reused() or isinstance(exc, aiohttp.ClientConnectorError) or _has_partial_head(exc):
                    raise
            demand_fresh(True)
            try:
                return await self._session.post(url, data=call.body, headers=headers, allow_redirects=False)
            finally:
                demand_fresh(False)
        except asyncio.CancelledError:
            if clocks.has_struck():
                raise clocks.failure() from None
            raise
        except aiohttp.ConnectionTimeoutError as exc:
            message = f"backend {backend.id}: no connection within {self.options.connect_timeout:g} s"
            raise UpstreamFailure(Reason.UPSTREAM_TIMEOUT_CONNECT, message) from exc
        except aiohttp.ClientResponseError as exc:
            raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, f"backend {backend.id}: not HTTP: {exc.message}") from exc
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

    def _url(self, base: str, path: str) -> URL:
        url = self._urls.get((base, path))
        if url is None:
            url = self._urls[base, path] = URL(base + path)
        return url


class AiohttpAnswer:
    """A backend's answer; `ports.UpstreamAnswer`."""

    __slots__ = ("_backend", "_clocks", "_response", "headers", "is_stream", "status")

    def __init__(self, backend: str, response: aiohttp.ClientResponse, clocks: Clocks) -> None:
        self._backend, self._response, self._clocks = backend, response, clocks
        self.status = response.status
        self.headers: Headers = tuple(response.headers.items())
        self.is_stream = response.headers.get("Content-Type", "").lower().startswith("text/event-stream")
        if not self.is_stream:
            clocks.first_token_came()

    @property
    def fields(self) -> Mapping[str, str]:
        """The headers, case-insensitive."""
        return self._response.headers

    def content_began(self) -> None:
        """Stop the first token's clock of a stream; the idle clock takes over."""
        self._clocks.first_token_came()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield body bytes as they come.

        Raises: UpstreamFailure (UPSTREAM_TIMEOUT_*, UPSTREAM_CUT).
        """
        clocks, read = self._clocks, self._response.content.readany
        while True:
            try:
                clocks.wait()
                data = await read()
            except asyncio.CancelledError:
                if clocks.has_struck():
                    raise clocks.failure() from None
                raise
            except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as exc:
                raise UpstreamFailure(Reason.UPSTREAM_CUT, f"backend {self._backend} broke off its answer: {_said(exc)}") from exc
            finally:
                clocks.waited()
            if not data:
                clocks.stop()
                return
            yield data

    def close(self) -> None:
        """Let go: an unfinished answer's connection is closed, a finished one's is kept."""
        self._clocks.stop()
        connection = self._response.connection
        if connection is not None and connection.protocol is not None:
            # Not `close`, which would first write out what is left of a large request.
            connection.protocol.abort()
        self._response.close()


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
