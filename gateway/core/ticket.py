"""Ticket: one request's way through the core, from its decision to what it leaves behind."""

from collections.abc import Sequence
from typing import Any

from gateway.core.placement.accounts import Attempt
from gateway.core.placement.place import Outlook
from gateway.core.pricing.terms import Terms
from gateway.core.tenants.limits import Draw
from gateway.domain.decision import Choice, Placed
from gateway.domain.event import Entry, Outcome
from gateway.domain.expectation import Expectation
from gateway.domain.facts import RequestFacts
from gateway.domain.value import Value


class Ticket:
    """One request's way through the core."""

    __slots__ = (
        "at",
        "attempt",
        "attempts",
        "choice",
        "draw",
        "expectations",
        "facts",
        "failed_usd",
        "is_scored",
        "listed_usd",
        "mode",
        "opening",
        "outlooks",
        "pin",
        "placed",
        "queued_s",
        "reserved",
        "terms",
        "trial",
        "tried",
        "usable",
        "wanted",
    )  # fmt: skip

    def __init__(self, facts: RequestFacts, opening: list[Entry]) -> None:
        self.facts = facts
        self.opening = opening
        """Entries to book on arrival: the forecast counts requests that came, not those that ended."""
        self.placed: Placed | None = None
        self.choice: Choice | None = None
        self.expectations: tuple[Expectation, ...] = ()
        self.outlooks: Sequence[Outlook] = ()
        self.listed_usd: tuple[float, ...] = ()
        """Expected dollars per candidate at list prices, without the learned factor."""
        self.is_scored = False
        """Whether a router predicted the qualities."""
        self.at = 0
        """Index of the candidate that `placed` names."""
        self.usable: tuple[bool, ...] = ()
        self.trial: tuple[bool, ...] = ()
        self.terms: Terms | None = None
        self.pin: float | None = None
        self.mode = "enforce"
        self.attempt: Attempt | None = None
        """The attempt in flight."""
        self.draw: Draw | None = None
        """What was taken from the tenant's limits; None where there are none."""
        self.wanted = ""
        """The model whose limits `draw` is about."""
        self.attempts = 0
        self.tried: set[str] = set()
        self.failed_usd = 0.0
        self.queued_s = 0.0
        self.reserved = 0.0

    @property
    def lacks(self) -> bool:
        """True while units of its tenant's limits are not at hand and the store has to be asked for them."""
        return self.draw is not None and not self.draw.is_taken


class Again(Value, frozen=True):
    """Another attempt may be made; the ticket already names its backend."""

    delay_s: float
    is_retry: bool
    """False: a fallback to another backend or model."""


class Booking(Value, frozen=True):
    """What one request leaves behind."""

    entries: list[Entry]
    usd: float
    ticket: Ticket
    outcome: Outcome
    wall_s: float

    @property
    def record(self) -> tuple[Any, ...]:
        """The decision record, in the order of `core/routing/record.py` RECORD_FIELDS; made when asked for, a simulation keeps none."""
        t, outcome = self.ticket, self.outcome
        facts, choice, placed = t.facts, t.choice, t.placed
        decided = (choice.model, choice.reason, choice.scores, choice.margin, choice.win_rate, choice.threshold) if choice else (None,) * 6
        return (
            "decision", self.wall_s, facts.request_id, facts.endpoint.label, facts.tenant, facts.klass.name, facts.klass.value, facts.route,
            facts.named, t.terms.version if t.terms else None,
            t.expectations, t.usable, t.trial, facts.draws, facts.client_threshold, facts.may_set_threshold, t.pin,
            t.mode, *decided,
            outcome.model, placed.backend.id if placed else None, t.attempts, outcome.reason.label, outcome.ttft_s,
            outcome.total_s, t.queued_s, outcome.prompt_tokens, outcome.completion_tokens, outcome.cached_tokens, self.usd,
            outcome.is_estimated,
        )  # fmt: skip
