"""What a pricing law is told at each tick, and what it must give back."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from gateway.core.budget.ledger import Judgement
from gateway.core.pricing.card import Card
from gateway.domain.value import Value


class Tick(Value, frozen=True):
    """One step of the clock for a law."""

    dt_s: float
    """Seconds since the last tick that had data."""
    wall_s: float
    judgements: Sequence[Judgement]
    """Priced SLOs in the operator's priority, most important first."""
    fresh_requests: float
    """Requests settled since the last tick; 0 means nothing is to be learned."""
    rate: float
    """Requests per second, averaged over 10 min."""
    cards: Sequence[Card]
    factors: Mapping[str, float]
    """Billed over expected dollars per model."""
    health: Mapping[str, tuple[float, float]]
    """Success and lateness per model."""
    telemetry_delay_s: float
    """How old counts are when a law sees them: flush, tick and poll."""


class Ruling(Value, frozen=True):
    """What a law says: a price per SLO (values per allowance, or per bad event), or a threshold instead."""

    prices: Mapping[str, float]
    fixed_threshold: float | None = None
    infeasible: tuple[str, ...] = ()
    allowances: Mapping[str, float] = {}
    """What the law held each budget to, where that is not the ledger's allowance."""


class Law(Protocol):
    """Turns budgets into prices; one file in `laws/`, with its theory at the head."""

    kind: ClassVar[str]

    def __init__(self, options: Any) -> None: ...

    def start(self, tick: Tick) -> None:
        """Warm start: called once before the first step when no memory was kept."""
        ...

    def step(self, tick: Tick) -> Ruling:
        """Move the prices by one tick."""
        ...

    def remember(self) -> Mapping[str, Any]:
        """Return everything that the next writer needs to go on, as plain data."""
        ...

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take up another writer's memory; unknown SLOs in it are forgotten."""
        ...
