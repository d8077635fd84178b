"""A connection that cannot be used to hold us up: bounded heads, slow senders, and how broken HTTP is answered.

aiohttp parses (llhttp, strict) and refuses what two parsers could read differently: two lengths, a length beside chunks,
folded lines, spaces before colons. Here those refusals get OpenAI's shape, and what aiohttp does not bound is bounded: the
time a head may take (a client that sends a byte a second), its whole size, and the number of connections.

The usual call does not go through aiohttp's parser (`usual.py`), as long as the connection has brought nothing else: then the
parser holds no bytes, and what comes next begins a request. While such a call is answered, what comes behind it waits.

Leans on attributes of aiohttp's handler: `_waiter` ("waits for a head"), `_messages` ("has one"), `_close`, `_next_keepalive_close_time`.
The tests of this room speak over raw sockets and notice when they change.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import http_exceptions, web
from aiohttp.web import BaseRequest

from gateway.domain.errors import GatewayError, Reason
from gateway.edges.server.options import ServerOptions
from gateway.edges.server.usual import Recurring, Usual, read_usual
from gateway.wire.refusal import Refusal, refusal

LOG = logging.getLogger("sluice.server")
LOOK_EVERY_S = 0.5
LATER_BYTES_MAX = 256 * 1024
"""Kept of what a client sends behind a call that is being answered; it is not read on beyond that."""
LINGER_S = 2.0
"""How long what a refused client still sends is read and thrown away, so that it can read the refusal."""


class Leavable(Protocol):
    """The answer to a usual call."""

    def leave(self) -> None:
        """Say that the client has gone."""
        ...


class Gate(Protocol):
    """What connections share."""

    options: ServerOptions

    @property
    def usual_paths(self) -> Collection[str]:
        """Where usual calls go."""
        ...

    def answer_usual(self, connection: "Connection", call: Usual, body: bytes) -> Leavable:
        """Begin to answer a call; `Connection.usual_ended` is called at its end."""
        ...

    def turned_away(self, reason: Reason) -> None:
        """Count a request that was refused before it was one."""
        ...


class Connection(web.RequestHandler):
    """One client connection."""

    __slots__ = ("_coming", "_expected", "_gate", "_has_parsed", "_head_bytes", "_head_from_s", "_later", "_recurring", "usual")

    def __init__(self, gate: Gate, server: "Server", **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self._gate = gate
        self._head_bytes = 0
        self._head_from_s: float | None = None
        """When the head that is still incomplete began, or the body of a usual call; None between requests."""
        self._has_parsed = False
        """Whether aiohttp's parser has seen any byte."""
        self.usual: Leavable | None = None
        """The answer to the usual call under way."""
        self._expected: Usual | None = None
        """A usual call whose body is still coming."""
        self._coming = bytearray()
        self._recurring: Recurring | None = None
        self._later = b""
        """What came behind the usual call under way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client in, or close at once when there are too many."""
        super().connection_made(transport)
        manager = self._manager
        if manager is not None and len(manager._connections) > self._gate.options.connections_max:
            self._gate.turned_away(Reason.LIMIT_STREAMS)
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """Begin a usual call, or feed the parser and keep an eye on heads."""
        if not self._has_parsed:
            if self._force_close or self._close or self._take_usual(data):
                return
            self._has_parsed = True
            data, self._later = self._later + data, b""
        if self._waits_for_head():
            self._head_bytes += len(data)
            if self._head_from_s is None:
                self._head_from_s = self._loop.time()
        super().data_received(data)
        if self._head_bytes > self._gate.options.headers_max and not self._messages and self._waits_for_head():
            self.refuse(too_large_head(self._gate.options))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give up what is under way."""
        super().connection_lost(exc)
        self._expected = None
        if self.usual is not None:
            self.usual.leave()

    def close(self) -> None:
        """Close the connection, after the answer under way."""
        if self.usual is None:
            super().close()
        else:
            self._close = True

    @property
    def is_staying(self) -> bool:
        """False when the connection ends with the answer under way."""
        return not (self._close or self._force_close)

    def usual_ended(self, is_kept: bool) -> None:
        """End a usual call: go on with what came meanwhile, or close."""
        self.usual = None
        if self._force_close or self.transport is None:
            return
        if not is_kept or self._close:
            self.force_close()
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._later:
            later, self._later = self._later, b""
            if self._buffer_paused:
                self._resume_reading_for_buffer()
            self.data_received(later)

    def _take_usual(self, data: bytes) -> bool:
        """Take bytes that belong to a usual call, or come behind one; False when they are for aiohttp."""
        if self.usual is not None:
            self._later += data
            if len(self._later) > LATER_BYTES_MAX and not self._buffer_paused:
                self._pause_reading_for_buffer()
            return True
        call = self._expected
        if call is None:
            options = self._gate.options
            recurring = self._recurring
            call = None if recurring is None else recurring.read(data, options.headers_max, options.body_max)
            if call is None:
                call = read_usual(data, self._gate.usual_paths, options.headers_max, options.body_max)
                if call is None:
                    return False
                self._recurring = Recurring(data, call)
            if len(data) == call.body_start + call.length:
                self.usual = self._gate.answer_usual(self, call, data[call.body_start :])
                return True
            data = data[call.body_start :]
        # Clients often send head and body apart.
        missing = call.length - len(self._coming)
        self._coming += data[:missing]
        if len(self._coming) < call.length:
            self._expected = call
            if self._head_from_s is None:
                self._head_from_s = self._loop.time()
            return True
        body, self._coming, self._expected, self._head_from_s = bytes(self._coming), bytearray(), None, None
        self._later = data[missing:]
        self.usual = self._gate.answer_usual(self, call, body)
        return True

    def _process_keepalive(self) -> None:
        if self.usual is not None or self._expected is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def begin(self, request: BaseRequest) -> GatewayError | None:
        """Note that a head is complete; return what is wrong with its size."""
        received, self._head_bytes, self._head_from_s = self._head_bytes, 0, None
        headers_max = self._gate.options.headers_max
        if received > headers_max or received == 0:
            size = len(request.raw_path) + 16 + sum(len(name) + len(text) + 4 for name, text in request.raw_headers)
            if size > headers_max:
                return too_large_head(self._gate.options)
        return None

    def look(self, now_s: float, patience_s: float) -> None:
        """Refuse a head that takes too long; `now_s` is the loop's time."""
        if self._head_from_s is not None and now_s - self._head_from_s > patience_s and self._waits_for_head():
            self.refuse(slow(self._gate.options))

    def refuse(self, error: GatewayError) -> None:
        """Answer before there is a request, and close."""
        self._head_from_s, self._head_bytes, self._expected = None, 0, None
        self._gate.turned_away(error.reason)
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        transport.write(as_bytes(refusal(error)))
        # A client that is still sending would lose the answer to a reset, so it may go on for a while, unheard.
        if transport.can_write_eof():
            transport.write_eof()
        self.close()
        self._loop.call_later(LINGER_S, self.force_close)

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what the parser refused, or an error that nobody caught; the connection is closed."""
        error = parser_error(exc) if status < 500 else GatewayError(Reason.INTERNAL, "internal error")
        if status >= 500:
            LOG.error("unhandled error", exc_info=exc)
        self._gate.turned_away(error.reason)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        said = refusal(error)
        response = web.Response(status=said.status, body=said.body, headers=said.headers)
        response.force_close()
        return response

    def _waits_for_head(self) -> bool:
        waiter = self._waiter
        return waiter is not None and not waiter.done() and not self._force_close


class Server(web.Server):
    """aiohttp's low-level server with our connections; it looks after slow senders itself."""

    def __init__(self, handler: Callable[[BaseRequest], Any], gate: Gate, patience_s: Callable[[], float], idle_s: float) -> None:
        """Build a server.

        Args:
            handler: answers a request, returns `stream.Sent`.
            patience_s: real seconds that a head may take, asked anew each time.
            idle_s: real seconds that a kept-alive connection may do nothing.
        """
        super().__init__(handler, handler_cancellation=True)
        self._gate, self._patience_s, self._idle_s = gate, patience_s, idle_s
        self._looking: asyncio.TimerHandle | None = None

    def __call__(self) -> Connection:
        """Return the handler for a new connection."""
        if self._looking is None:
            self._look()
        # The parser's own bounds are a little wider, so that `begin` sees and counts what is too large.
        field_max = self._gate.options.headers_max
        return Connection(
            self._gate,
            self,
            loop=self._loop,
            keepalive_timeout=self._idle_s,
            access_log=None,
            max_line_size=field_max,
            max_field_size=field_max,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )

    def stop_looking(self) -> None:
        """Let the timer go."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look(self) -> None:
        now_s, patience_s = self._loop.time(), self._patience_s()
        for connection in list(self._connections):
            if isinstance(connection, Connection):
                connection.look(now_s, patience_s)
        self._looking = self._loop.call_later(min(LOOK_EVERY_S, patience_s / 4), self._look)


def too_large_head(options: ServerOptions) -> GatewayError:
    """Return the error for a head beyond the bound."""
    return GatewayError(Reason.HEADERS_TOO_LARGE, f"request line and headers take more than {options.headers_max} bytes")


def slow(options: ServerOptions) -> GatewayError:
    """Return the error for a request that took too long to arrive."""
    return GatewayError(Reason.SLOW_REQUEST, f"the request was not complete within {options.read_timeout:g} s")


def parser_error(exc: BaseException | None) -> GatewayError:
    """Return what the parser's complaint means: too large, ambiguous, or not HTTP."""
    said = " ".join(str(getattr(exc, "message", exc) or "").split("\n")[0].split())[:200].rstrip(":")
    if isinstance(exc, http_exceptions.LineTooLong) or "too many" in said.lower():
        return GatewayError(Reason.HEADERS_TOO_LARGE, "request line and headers are larger than allowed")
    if isinstance(exc, http_exceptions.BadStatusLine | http_exceptions.InvalidURLError):
        return GatewayError(Reason.BAD_REQUEST, f"this is no HTTP request: {said}")
    return GatewayError(Reason.AMBIGUOUS_REQUEST, f"this request could be read in more than one way, or not at all: {said}")


def as_bytes(said: Refusal) -> bytes:
    """Return a refusal as a whole HTTP answer that ends its connection."""
    status = HTTPStatus(said.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {text}" for name, text in said.headers)]
    lines += [f"content-length: {len(said.body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode() + said.body
