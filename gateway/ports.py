"""Where stories, edges and core meet: what each side may ask of the other.

A story (`pipeline`, `upkeep`) sees only these protocols, the core and the wire; an edge implements one of them and
knows no other edge. `tests/architecture` and the import contracts keep it so.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.domain.catalog import Backend
from gateway.domain.event import Entry
from gateway.domain.facts import Talk
from gateway.domain.limit import Ask, Granted
from gateway.domain.prices import Overrides, Prices
from gateway.domain.value import Value

Headers = Sequence[tuple[str, str]]


class Clock(Protocol):
    """The only source of time. With `speed` 6 all its seconds pass six times faster (load tests)."""

    speed: float

    def now_s(self) -> float:
        """Monotonic seconds: for durations, deadlines and the order of things."""
        ...

    def wall_s(self) -> float:
        """Unix seconds: for slots, periods and what people read."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, in this clock's seconds."""
        ...

    def real_s(self, seconds: float) -> float:
        """Turn this clock's seconds into real ones, for foreign timers."""
        ...


class Chance(Protocol):
    """The only source of randomness."""

    secret: bytes
    """What keyed draws and seals rest on."""

    def share(self, secret: bytes) -> None:
        """Draw and seal with a secret that other processes have, too."""
        ...

    def sealed(self, request_id: str, wall_s: float, *parts: str) -> str:
        """Return an id of the same form from which we can tell again when it was made, and whether for these parts."""
        ...

    def opened(self, request_id: str, *parts: str) -> float | None:
        """Return when a sealed id was made, Unix seconds; None when it was not sealed with these parts."""
        ...

    def request_id(self) -> str:
        """Return a fresh id that cannot be guessed."""
        ...

    def keyed(self, *parts: str) -> float:
        """Return a draw in [0, 1) that is the same for the same parts and secret."""
        ...

    def uniform(self) -> float:
        """Return a fresh draw in [0, 1): jitter."""
        ...


class Outbox(Protocol):
    """Collects small writes of one turn of the event loop."""

    def put(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write at the end of this turn, unless the transport is closed by then."""
        ...

    def post(self) -> None:
        """Write what waits now; for who closes a transport next."""
        ...


class Scorer(Protocol):
    """Predicted qualities of one route's models."""

    name: str
    is_fallback: bool
    """True when the artifact cannot be used and the declared fallback answers."""
    reads_talk: bool
    """Whether `talk` moves the answer; where it does not, nobody counts it."""

    def qualities(self, prompt: str, talk: Talk | None = None) -> tuple[float, ...]:
        """Return q_m per model of the route, 0..1, route order; never raises.

        Args:
            prompt: the question's text. talk: what surrounds it; None: nothing does.
        """
        ...

    def many(self, prompts: Sequence[str], talks: Sequence[Talk | None]) -> Sequence[tuple[float, ...]]:
        """Return the same for prompts that came together, at less cost."""
        ...


class ClientStream(Protocol):
    """The client's side of one request: it gets one head, then bytes, then an end."""

    @property
    def is_gone(self) -> bool:
        """True once the client has closed its side."""
        ...

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Send the head; `length` None means a streamed body."""
        ...

    async def write(self, data: bytes) -> None:
        """Send body bytes; waits while the client does not read.

        Raises: ClientGone when the client has left or does not read for `write_timeout`.
        """
        ...

    async def finish(self) -> None:
        """End the body."""
        ...

    def abort(self) -> None:
        """Close the connection without ending the body, so that nobody takes a cut answer for a whole one."""
        ...


class ClientGone(Exception):
    """The client left, or stopped reading for longer than we wait."""


class UpstreamFailure(Exception):
    """An attempt that failed; `reason` is one of the UPSTREAM_* reasons.

    status: HTTP status of the backend, when it gave one. headers, body: its answer, for an error object that is
    passed on unchanged. retry_after_s: what it asked for.
    """

    def __init__(
        self,
        reason: Any,
        message: str,
        status: int | None = None,
        headers: Headers = (),
        body: bytes = b"",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status
        self.headers = headers
        self.body = body
        self.retry_after_s = retry_after_s


class UpstreamAnswer(Protocol):
    """A backend's answer: the head is here, the body still comes."""

    status: int
    headers: Headers
    is_stream: bool
    """True for text/event-stream."""

    def ready(self) -> bytes | None:
        """Return the whole body where it is all here; else None, and nothing is taken."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield body bytes as they come; the idle and total clocks run inside.

        Raises: UpstreamFailure (UPSTREAM_TIMEOUT_*, UPSTREAM_CUT).
        """
        ...

    def close(self) -> None:
        """Let go: an unfinished answer's connection is closed (which cancels the backend), a finished one's is kept."""
        ...


class Call(Value, frozen=True):
    """What is sent to a backend."""

    path: str
    """Below the backend's url, for example `/chat/completions`."""
    body: bytes
    headers: Headers
    """Already cleaned: no hop-by-hop header, no client key; the backend's own key is added by the edge."""
    is_streaming: bool
    ttft_timeout_s: float
    total_timeout_s: float


class Upstream(Protocol):
    """All backends."""

    async def send(self, backend: Backend, call: Call) -> UpstreamAnswer:
        """Send a request and wait for the answer's head.

        Cancelling the caller closes the connection. Raises: UpstreamFailure.
        """
        ...


class Recorder(Protocol):
    """Collects what is to be counted until the next flush; never waits."""

    def book(self, entries: Sequence[Entry], wall_s: float) -> None:
        """Add to counters in the slot of `wall_s`."""
        ...


class StoreAway(Exception):
    """The store did not answer, refused, or is full; budgets freeze, requests go on."""


Slots = Sequence[tuple[int, int, Mapping[str, int]]]
"""(slot width in seconds, slot number = wall_s // width, totals of its fields); a slot replaces what was known of it."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who else stands on the store, as the last `lead` was told."""

    replicas: int = 1
    """Live replicas, this one included."""
    generation: int = 0
    """Of this replica's configuration: the store numbers them in the order in which they appear; 0 before the first answer."""
    newest: int = 0
    """The newest generation that a live replica runs; only such a replica governs."""
    behind: int = 0
    """Live replicas with an older one."""


class Store(Protocol):
    """Shared state of all replicas. Every call raises StoreAway on trouble.

    Nothing on a request's path awaits one, except `grant`, for limited tenants with nothing at hand (`Leases`)."""

    @property
    def fleet(self) -> Fleet:
        """The last known fleet; stays while the store is away."""
        ...

    @property
    def last_memory(self) -> Mapping[str, Any] | None:
        """The law's memory as it was last polled (some seconds old), for who has to go on without the store."""
        ...

    def unwritten(self, from_wall_s: float) -> Mapping[int, Mapping[str, int]]:
        """Return what this replica booked since then and the store has not, by slot of ten seconds; one batch may be in doubt."""
        ...

    async def flush(self) -> int:
        """Write what the recorder holds, exactly once; return the number of batches acknowledged."""
        ...

    async def lead(self, ttl_s: float, config_hash: str = "") -> int | None:
        """Take or renew the governor's lease; return its fencing token, None while somebody else is to govern.

        Somebody else is who holds it, unless with an older configuration than ours, and whoever runs a newer one.
        Every replica calls this every tick: it is also how it is known to live.
        """
        ...

    async def resign(self) -> None:
        """Give the lease back, if we hold it."""
        ...

    async def slots(self, from_wall_s: float) -> Slots:
        """Read all slots that may have changed since `from_wall_s`; 0 reads everything that is kept."""
        ...

    async def publish(self, prices: Prices, memory: Mapping[str, Any], board: Mapping[str, Any]) -> bool:
        """Write prices, the law's memory and the board atomically; False when the lease is not ours any more."""
        ...

    async def poll(self) -> tuple[Prices | None, Overrides, Mapping[str, Any] | None]:
        """Read published prices, overrides and board; all that a worker needs between two requests."""
        ...

    async def memory(self) -> Mapping[str, Any] | None:
        """Read the law's memory, for a new writer's warm start."""
        ...

    async def override(self, change: Mapping[str, Any]) -> None:
        """Write or clear a pin or a freeze; audited."""
        ...

    async def secret(self, proposed: str) -> str:
        """Return the secret that all replicas share: the first one that was ever proposed."""
        ...

    async def feedback(self, request_id: str, tenant: str, verdict: Mapping[str, Any], wall_s: float) -> bool:
        """Record a verdict on an answer to a request of `wall_s`; return whether it is this tenant's first on it."""
        ...

    async def grant(self, asks: Sequence[Ask]) -> Sequence[Granted]:
        """Settle what this replica tells about limits of one tenant, and grant what it may have; one answer per ask."""
        ...

    async def close(self) -> None:
        """Flush what can be flushed and let go."""
        ...


class DecisionLog(Protocol):
    """Where every decision goes, in a form from which it can be decided again."""

    def write(self, record: tuple[Any, ...]) -> None:
        """Queue one record; never waits, drops and counts when the disk does not keep up."""
        ...
