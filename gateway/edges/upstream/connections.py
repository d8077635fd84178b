"""Keep-alive connections to backends: one request at a time each, a pool per origin.

- A connection on which bytes came while nobody had asked for anything is closed, never used: they would be taken for the next answer,
  possibly another client's. The same goes for bytes behind an answer, and for a backend that answered before it had read all.
- Who sends can tell whether the connection had been used before: only then a reset before the first byte says nothing about the
  backend, which may just have closed an idle connection.
- A whole request is one write; a wait for the backend is one future. Cancelling who waits closes the connection.
- A reader that falls behind stops the backend: beyond `UNREAD_BYTES_MAX` nothing more is read.
"""

import asyncio
import ssl
from collections import deque
from typing import Any, cast
from urllib.parse import urlsplit

from gateway.edges.upstream.framing import Answer, Malformed
from gateway.ports import Outbox

UNREAD_BYTES_MAX = 128 * 1024
IDLE_CONNECTION_S = 60.0
"""How long an unused connection is kept."""
LOOK_EVERY_S = 10.0


class Broken(Exception):
    """The connection ended before the answer did."""


class Connection(asyncio.Protocol):
    """One connection; belongs to one request at a time."""

    __slots__ = ("_is_paused", "_loop", "_origin", "_transport", "_waiter", "answer", "idle_from_s", "trouble", "was_used")

    def __init__(self, origin: "Origin", loop: asyncio.AbstractEventLoop) -> None:
        self._origin, self._loop = origin, loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_paused = False
        self.answer: Answer | None = None
        """Of the request under way; None while idle."""
        self.trouble: Exception | None = None
        """What ended the connection; None while it lives."""
        self.was_used = False
        """Whether it has answered before."""
        self.idle_from_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Feed the answer under way; bytes that nobody asked for end the connection."""
        answer = self.answer
        if answer is None:
            self.abort()
            return
        try:
            answer.feed(data)
        except Malformed as exc:
            self._failed(exc)
            return
        if answer.body_bytes > UNREAD_BYTES_MAX and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Take the end: of an answer that ends with its connection, or of the connection alone."""
        if self.answer is not None and self.answer.status:
            self.answer.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, and tell who waits."""
        if exc is None:
            self.eof_received()
        if self.trouble is None:
            self.trouble = Broken(str(exc) if exc is not None else "closed by the backend")
        self._transport = None
        self._origin.lost(self)
        self._wake()

    @property
    def is_answering(self) -> bool:
        """Whether any byte of an answer to the request under way has come."""
        return self.answer is not None and self.answer.is_begun

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for the head of its answer.

        Raises: Broken, Malformed.
        """
        answer = self.answer = Answer()
        if self._transport is None or self._transport.is_closing():
            raise self.trouble or Broken("closed before it was used")
        self._origin.outbox.put(self._transport, request)
        while not answer.status:
            if self.trouble is not None:
                raise self.trouble
            await self._news()
        return answer

    async def read(self) -> bytes:
        """Wait for body bytes of the answer under way; b"" at its end.

        Raises: Broken, Malformed.
        """
        answer = self.answer
        assert answer is not None
        while not answer.body_bytes:
            if answer.is_complete:
                return b""
            if self.trouble is not None:
                raise self.trouble
            await self._news()
        return self.take()

    def take(self) -> bytes:
        """Hand over the body bytes that are there, and let more come."""
        answer = self.answer
        assert answer is not None
        data = answer.take()
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def let_go(self) -> None:
        """Keep the connection when the answer is whole, close it at once when it is not."""
        answer, transport = self.answer, self._transport
        if answer is None:
            return
        self.answer = None
        # A backend that answered before it had read the whole request does not get another on the same connection.
        if (
            transport is None
            or self.trouble is not None
            or not (answer.is_complete and answer.is_kept)
            or answer.has_surplus
            or self._is_paused
            or transport.is_closing()
            or transport.get_write_buffer_size()
        ):
            self.abort()
            return
        self.was_used = True
        self._origin.released(self, self._loop.time())

    def is_usable(self) -> bool:
        """Say whether a request may be sent."""
        return self.trouble is None and self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close the connection without first writing out what is left of a request."""
        self.answer = None
        if self.trouble is None:
            self.trouble = Broken("closed by us")
        self._origin.lost(self)
        if self._transport is not None:
            self._transport.abort()

    def _news(self) -> asyncio.Future[None]:
        """Return what is done when something has come, or the connection has ended."""
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _failed(self, exc: Exception) -> None:
        self.trouble = exc
        if self._transport is not None:
            self._transport.abort()
        self._wake()


class Origin:
    """One scheme, host and port: its connections, and who waits for one."""

    __slots__ = ("_all", "_connect", "_idle", "_loop", "_max", "_opening", "_queue", "outbox")

    def __init__(self, url: str, connections_max: int, loop: asyncio.AbstractEventLoop, outbox: Outbox) -> None:
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        self._loop, self._max, self.outbox = loop, connections_max, outbox
        self._connect: dict[str, Any] = {"host": parts.hostname, "port": parts.port or (443 if is_secure else 80)}
        if is_secure:
            self._connect["ssl"] = context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def open(self) -> int:
        """Connections that exist or are being made."""
        return len(self._all) + self._opening

    async def connection(self, connect_timeout_s: float) -> Connection:
        """Return an idle connection, or a new one; waits while there are as many as there may be.

        Raises: TimeoutError when no connection stands in time, OSError.
        """
        while True:
            if (idle := self.idle()) is not None:
                return idle
            if self.open < self._max:
                return await self._open(connect_timeout_s)
            turn: asyncio.Future[None] = self._loop.create_future()
            self._queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._call_next()
                raise

    def idle(self) -> Connection | None:
        """Return an idle connection; None when there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
        return None

    def drop_idle(self) -> None:
        """Close what is idle: one of them was just found dead."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    def drop_old(self, before_s: float) -> None:
        """Close what has been idle since before that time of the loop."""
        for connection in [c for c in self._idle if c.idle_from_s < before_s]:
            connection.abort()

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._all):
            connection.abort()

    def released(self, connection: Connection, now_s: float) -> None:
        """Take a connection back."""
        connection.idle_from_s = now_s
        self._idle.append(connection)
        if self._queue:
            self._call_next()

    def lost(self, connection: Connection) -> None:
        """Forget a connection; every further call does nothing."""
        if connection in self._all:
            self._all.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self._call_next()

    async def _open(self, connect_timeout_s: float) -> Connection:
        self._opening += 1
        try:
            async with asyncio.timeout(connect_timeout_s):
                _, connection = await self._loop.create_connection(lambda: Connection(self, self._loop), **self._connect)
        except BaseException:
            self._opening -= 1
            self._call_next()
            raise
        self._opening -= 1
        self._all.add(connection)
        return connection

    def _call_next(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
