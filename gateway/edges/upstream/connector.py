"""aiohttp's connection pool with three rules of our own.

- A connection on which bytes came while nobody had asked for anything is closed, never used: they would be taken for the
  next answer, possibly another client's. (aiohttp keeps its parser on an idle connection and finds only whole messages.)
- Who sends can tell whether its connection had been used before: only then a reset before the first byte says nothing
  about the backend, which may just have closed an idle connection.
- Who asks for a fresh connection gets one; idle ones to the same backend are closed, since one of them was just found dead.

`connect`, `_create_connection` and `_release` are aiohttp's own seams between its pool and its client; the tests of
this file notice when a new version moves them.
"""

from contextvars import ContextVar
from typing import Any

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

_was_idle: ContextVar[bool] = ContextVar("connection_was_idle", default=False)
_must_be_fresh: ContextVar[bool] = ContextVar("connection_must_be_fresh", default=False)


def was_reused() -> bool:
    """Say whether the current task's latest connection came from the pool."""
    return _was_idle.get()


def demand_fresh(is_wanted: bool) -> None:
    """Have the current task's next connections made anew, or allow idle ones again."""
    _must_be_fresh.set(is_wanted)


class Connector(TCPConnector):
    """A pool of keep-alive connections to all backends."""

    async def connect(self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout) -> Connection:
        """Return an idle connection that is clean, or a new one."""
        while True:
            _was_idle.set(True)
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if not _was_idle.get() or (protocol is not None and not protocol.should_close and not _must_be_fresh.get()):
                return connection
            connection.close()

    async def _create_connection(self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout) -> ResponseHandler:
        _was_idle.set(False)
        return await super()._create_connection(req, traces, timeout)

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        # Without a parser a connection keeps what it gets as a tail, and a tail makes `should_close` true.
        protocol._parser = None
        super()._release(key, protocol, should_close=should_close)
