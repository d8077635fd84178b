"""The client's side of one request over aiohttp's writer: head and first bytes in one segment, then back-pressure.

aiohttp's own response objects are passed by: they cost as much as everything the gateway adds. A reader who accepts nothing for
`write_timeout` is let go; one who accepts a little keeps its stream.
"""

import asyncio
from http import HTTPStatus
from typing import Protocol, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_writer import HttpVersion11, StreamWriter
from aiohttp.web import BaseRequest
from multidict import CIMultiDict

from gateway.ports import ClientGone, Clock, Headers

PHRASES = {status.value: status.phrase for status in HTTPStatus}


class HttpStream:
    """One answer on one connection; `ports.ClientStream`."""

    __slots__ = ("_clock", "_request", "_write_timeout_s", "_writer", "is_whole", "keep_alive", "status")

    def __init__(self, request: BaseRequest, clock: Clock, write_timeout_s: float, keep_alive: bool) -> None:
        self._request, self._writer = request, cast(StreamWriter, request.writer)
        self._clock, self._write_timeout_s = clock, write_timeout_s
        self.keep_alive = keep_alive and request.keep_alive
        self.status: int | None = None
        """Of the head that was sent; None before."""
        self.is_whole = False
        """True once the answer's end was sent."""

    @property
    def is_gone(self) -> bool:
        """True once the client has closed its side."""
        transport = self._request.transport
        return transport is None or transport.is_closing()

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Prepare the head; it goes out with the first bytes of the body."""
        self.status = status
        fields: CIMultiDict[str] = CIMultiDict(headers)
        if fields.pop("Connection", None) == "close":
            self.keep_alive = False
        is_modern = self._request.version >= HttpVersion11
        if length is not None:
            fields["Content-Length"] = str(length)
        elif is_modern:
            fields["Transfer-Encoding"] = "chunked"
            self._writer.enable_chunking()
        else:
            self.keep_alive = False
        fields["Date"] = rfc822_formatted_time()
        if not self.keep_alive:
            fields["Connection"] = "close"
        elif not is_modern:
            fields["Connection"] = "keep-alive"
        line = f"HTTP/{'1.1' if is_modern else '1.0'} {status} {PHRASES.get(status, '')}"
        try:
            await self._writer.write_headers(line, fields)
        except ValueError:
            # A backend's header that cannot be written is left out rather than the whole answer.
            await self._writer.write_headers(line, CIMultiDict((k, v) for k, v in fields.items() if v.isascii() and v.isprintable()))

    async def write(self, data: bytes) -> None:
        """Send body bytes; waits while the client does not read. Raises: ClientGone."""
        if self._request.method == "HEAD":
            return
        try:
            await self._writer.write(data, drain=False)
        except ConnectionError as exc:
            raise ClientGone from exc
        if self._request.protocol.writing_paused:
            await drained(self._request.protocol, self._clock, self._write_timeout_s, self)

    async def finish(self) -> None:
        """End the body. Raises: ClientGone."""
        try:
            self._writer.set_eof()
        except ConnectionError as exc:
            raise ClientGone from exc
        self.is_whole = True

    def abort(self) -> None:
        """Close the connection without ending the body."""
        self.keep_alive = False
        transport = self._request.transport
        if transport is not None:
            transport.abort()


class Leavable(Protocol):
    """An answer that can be given up."""

    @property
    def is_gone(self) -> bool: ...  # noqa: D102
    def abort(self) -> None: ...  # noqa: D102


async def drained(protocol: BaseProtocol, clock: Clock, write_timeout_s: float, answer: Leavable) -> None:
    """Wait until the client has read most of what was written. Raises: ClientGone."""
    while protocol.writing_paused and (transport := protocol.transport) is not None:
        unread = transport.get_write_buffer_size()
        try:
            async with asyncio.timeout(clock.real_s(write_timeout_s)):
                await protocol._drain_helper()
        except ConnectionError as exc:
            raise ClientGone from exc
        except TimeoutError as exc:
            if answer.is_gone or transport.get_write_buffer_size() >= unread:
                answer.abort()
                raise ClientGone from exc


class Sent:
    """What aiohttp gets back from a handler that has sent its answer itself."""

    __slots__ = ("keep_alive",)

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, _request: BaseRequest) -> None:
        """Do nothing: the head is out."""

    async def write_eof(self) -> None:
        """Do nothing: the end is out."""
