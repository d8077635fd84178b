"""What the story of a request needs of others, as it sees them; the edges' own ports are in `gateway/ports.py`.

`Shared` is what a walk needs of the `Pipeline` that began it, so that a walk knows no pipeline.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.core.dispatcher import Dispatcher
from gateway.core.tenants.limits import Draw
from gateway.core.ticket import Ticket
from gateway.domain.catalog import Catalog
from gateway.domain.decision import Placed, Shed
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.facts import RequestFacts
from gateway.ports import Call, Clock, Scorer, UpstreamAnswer


class Patience(Protocol):
    """The clocks that one request needs, clock seconds."""

    @property
    def ttft_timeout(self) -> float: ...  # noqa: D102
    @property
    def total_timeout(self) -> float: ...  # noqa: D102


class Configured(Protocol):
    """What a request needs of the configuration."""

    @property
    def upstream(self) -> Patience: ...  # noqa: D102


class Runtime(Protocol):
    """What one config version offers to requests; a request keeps the one it began with."""

    @property
    def config(self) -> Configured: ...  # noqa: D102
    @property
    def catalog(self) -> Catalog: ...  # noqa: D102
    @property
    def dispatcher(self) -> Dispatcher: ...  # noqa: D102
    @property
    def scorers(self) -> Mapping[str, Scorer]: ...  # noqa: D102


class Answer(UpstreamAnswer, Protocol):
    """A backend's answer whose first-token clock runs until it is told that content came."""

    def content_began(self) -> None:
        """Stop the first token's clock of a stream; the idle clock takes over."""
        ...


class Upstream(Protocol):
    """All backends."""

    async def send(self, backend: Any, call: Call) -> Answer:
        """Send a request and wait for the answer's head. Raises: UpstreamFailure."""
        ...


class Observer(Protocol):
    """Counts what is shown as metrics."""

    def ended(self, facts: RequestFacts, placed: Placed | None, outcome: Outcome, usd: float, overhead_s: float) -> None:
        """Count one ended request."""
        ...

    def turned_away(self, reason: Reason) -> None:
        """Count a request refused before anything was decided."""
        ...

    def again(self, model: str, is_retry: bool) -> None:
        """Count a further attempt."""
        ...


class Leases(Protocol):
    """Units of tenants' limits, shared by all replicas."""

    async def fetch(self, draw: Draw) -> Shed | None:
        """Ask the store once for what a request lacks, take it, and return who refuses; bounded, and never raises for the store's sake."""
        ...


class Shared(Protocol):
    """What all walks share: the clock, the backends, the books, and who waits."""

    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def upstream(self) -> Upstream: ...  # noqa: D102
    @property
    def observer(self) -> Observer: ...  # noqa: D102

    def sweep(self, dispatcher: Dispatcher, now_s: float) -> None:
        """Wake the queued requests whose turn has come, or whose time has run out."""
        ...

    def ended(self, dispatcher: Dispatcher, ticket: Ticket, outcome: Outcome, overhead_s: float) -> float:
        """Settle a ticket and write down what became of it; return its dollars."""
        ...
