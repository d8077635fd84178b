"""The client's side of one usual call, straight onto its transport: a whole answer is one write.

Differs from `stream.HttpStream` in nothing that a client can see. A header that cannot be written is left out rather than the answer.
"""

import asyncio
from http import HTTPStatus

from aiohttp.helpers import rfc822_formatted_time

from gateway.edges.server.limits import Connection
from gateway.edges.server.stream import drained
from gateway.ports import ClientGone, Clock, Headers, Outbox

TOGETHER_BYTES_MAX = 16 * 1024
"""A longer answer is written at once: it may have to wait for its reader."""
LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Reply:
    """One answer on one connection; `ports.ClientStream`."""

    __slots__ = (
        "_clock", "_connection", "_has_begun", "_head", "_is_chunked", "_outbox", "_waits", "_write_timeout_s",
        "is_left", "is_whole", "keep_alive", "status", "task",
    )  # fmt: skip

    def __init__(self, connection: Connection, outbox: Outbox, clock: Clock, write_timeout_s: float, keep_alive: bool) -> None:
        self._connection, self._outbox, self._clock, self._write_timeout_s = connection, outbox, clock, write_timeout_s
        self.keep_alive = keep_alive
        self.task: asyncio.Task[None] | None = None
        """What answers."""
        self._has_begun = False
        self.is_left = False
        """True once the client left before the answer was whole."""
        self.status: int | None = None
        """Of the head; None before."""
        self.is_whole = False
        """True once the answer's end was sent."""
        self._head = b""
        """Waits for the first bytes of the body."""
        self._is_chunked = False
        self._waits = False
        """Whether some of the answer was given to the outbox; then all the rest is."""

    @property
    def is_gone(self) -> bool:
        """True once the client has closed its side."""
        transport = self._connection.transport
        return transport is None or transport.is_closing()

    def begin(self) -> bool:
        """Note that `task` runs; False when there is nobody left to answer. Called at its very start.

        A task that is cancelled before it ran does not even run its `finally`.
        """
        self._has_begun = True
        return not self.is_left

    def leave(self) -> None:
        """Cancel the answer: the client has gone."""
        self.is_left = True
        if self.task is not None and self._has_begun:
            self.task.cancel()

    def end(self) -> None:
        """Give the connection back for the next call, or close it where this answer has no end."""
        self.task = None
        is_kept = self.keep_alive and self.is_whole
        if self._waits and not (is_kept and self._connection.is_staying):
            self._outbox.post()
        self._connection.usual_ended(is_kept)

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Prepare the head; it goes out with the first bytes of the body."""
        self.status = status
        lines = list(map(": ".join, headers))
        if not "".join(lines).isprintable():
            lines = [line for line in lines if line.isprintable()]
        for name, text in headers:
            if len(name) == 10 and name.lower() == "connection":
                lines = [line for line in lines if line != f"{name}: {text}"]
                self.keep_alive = self.keep_alive and text != "close"
        if length is None:
            self._is_chunked = True
            framing = "Transfer-Encoding: chunked"
        else:
            framing = f"Content-Length: {length}"
        last = "" if self.keep_alive else "Connection: close\r\n"
        fields = "\r\n".join(lines)
        line = LINES.get(status) or f"HTTP/1.1 {status} \r\n"
        separator = "\r\n" if lines else ""
        self._head = f"{line}{fields}{separator}{framing}\r\nDate: {rfc822_formatted_time()}\r\n{last}\r\n".encode()

    async def write(self, data: bytes) -> None:
        """Send body bytes; waits while the client does not read. Raises: ClientGone."""
        connection = self._connection
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        if self._is_chunked:
            if not data:
                return
            data = b"%b%x\r\n%b\r\n" % (self._head, len(data), data)
        elif self._head:
            data = self._head + data
        self._head = b""
        if self._waits or (len(data) <= TOGETHER_BYTES_MAX and not self._is_chunked and not connection.writing_paused):
            self._waits = True
            self._outbox.put(transport, data)
            return
        transport.write(data)
        if connection.writing_paused:
            await drained(connection, self._clock, self._write_timeout_s, self)

    async def finish(self) -> None:
        """End the body. Raises: ClientGone."""
        transport = self._connection.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        last = self._head + b"0\r\n\r\n" if self._is_chunked else self._head
        if last:
            self._head = b""
            transport.write(last)
        self.is_whole = True

    def abort(self) -> None:
        """Close the connection without ending the body."""
        self.keep_alive = False
        transport = self._connection.transport
        if transport is not None:
            transport.abort()
