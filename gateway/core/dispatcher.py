"""The decisions of one request, in order: decide, sent, first_token, failed, next_ready, ended.

No rule lives here twice: which model is `routing`, what scarcity costs is `pricing`, which backend is `placement`, when or
not at all is `scheduling`, what it will take is `estimate`, who may is `tenants`, what is counted is `budget`. This file
only says who is asked when, and keeps one request's books: what was reserved is released, what ended is counted once.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.budget.slo import Slo
from gateway.core.estimate.cost import billed_usd, expected_usd
from gateway.core.placement.place import place, room
from gateway.core.pricing.terms import Terms, terms_of
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.fit import fits
from gateway.core.routing.route import Question, choose
from gateway.core.scheduling.shed import retry_after_s
from gateway.core.state import State
from gateway.core.tenants.limits import take
from gateway.domain.catalog import Backend, Catalog, Model
from gateway.domain.decision import Choice, Placed, Shed
from gateway.domain.errors import Fault, Reason
from gateway.domain.event import NANO, Entry, Outcome
from gateway.domain.expectation import Expectation
from gateway.domain.facts import RequestFacts
from gateway.domain.prices import Overrides, Prices
from gateway.domain.value import value

NEUTRAL_QUALITY = 0.5
"""Stands for a candidate that nothing was predicted for: a model named by the client, embeddings."""
RETRY_WAIT_S_MAX = 2.0
"""A backend that asks for a longer pause than this is not waited for inside one request."""
RETRYABLE = frozenset(
    {Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_ERROR, Reason.UPSTREAM_TIMEOUT_CONNECT, Reason.UPSTREAM_CUT, Reason.UPSTREAM_RATE_LIMITED}
)
UNREACHABLE = frozenset({Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_TIMEOUT_CONNECT})
BILLS_PROMPT = frozenset({Reason.UPSTREAM_TIMEOUT_TTFT, Reason.UPSTREAM_CUT, Reason.UPSTREAM_BAD_ANSWER, Reason.UPSTREAM_TIMEOUT_IDLE})
"""Failures after which the prompt was probably processed, hence billed."""
NO_GAIN = Gain()


class Ticket:
    """One request's way through the core."""

    __slots__ = (
        "attempts",
        "choice",
        "expectations",
        "facts",
        "failed_usd",
        "first_s",
        "mode",
        "opening",
        "pin",
        "placed",
        "prompt_tokens",
        "queued_s",
        "reserved",
        "sent_s",
        "terms",
        "trial",
        "tried",
        "usable",
    )  # fmt: skip

    def __init__(self, facts: RequestFacts, opening: list[Entry]) -> None:
        self.facts = facts
        self.opening = opening
        """Entries to book on arrival: the forecast counts requests that came, not those that ended."""
        self.placed: Placed | None = None
        self.choice: Choice | None = None
        self.expectations: tuple[Expectation, ...] = ()
        self.usable: tuple[bool, ...] = ()
        self.trial: tuple[bool, ...] = ()
        self.terms: Terms | None = None
        self.pin: float | None = None
        self.mode = "enforce"
        self.prompt_tokens = facts.prompt_tokens
        self.attempts = 0
        self.tried: set[str] = set()
        self.failed_usd = 0.0
        self.sent_s: float | None = None
        self.first_s: float | None = None
        self.queued_s = 0.0
        self.reserved = 0.0


@value
class Again:
    """Another attempt may be made; the ticket already names its backend."""

    delay_s: float
    is_retry: bool
    """False: a fallback to another backend or model."""


@value
class Booking:
    """What one request leaves behind."""

    entries: list[Entry]
    usd: float
    record: tuple[Any, ...]


class Dispatcher:
    """Decides requests of one config version on the shared State."""

    def __init__(
        self,
        catalog: Catalog,
        slos: Sequence[Slo],
        gains: Mapping[str, Gain],
        state: State,
        mode: str = "enforce",
        retry_share: float = 0.1,
        attempts_max: int = 3,
    ) -> None:
        """Build a dispatcher.

        Args:
            gains: calibrated G per route.
            mode: enforce, or observe (decide and log, but send every request to its first candidate).
            retry_share: extra attempts that retries may add, as a share of first attempts.
            attempts_max: attempts of one request, fallbacks included.
        """
        self.catalog, self.state, self.mode = catalog, state, mode
        self._slos, self._gains = tuple(slos), gains
        self._retry_share, self._attempts_max = retry_share, attempts_max
        self._slos_of: dict[str, tuple[Slo, ...]] = {}
        self._late_s = min((s.spec.options.at_most for s in slos if s.spec.kind == "ttft"), default=None)
        self._terms: dict[str, Terms] = {}
        self._prices = state.prices or Prices(0, 0, "", 0.0, "none")

    # -- prices in force -------------------------------------------------------------------------------------------

    def adopt(self, prices: Prices, overrides: Overrides, now_s: float) -> bool:
        """Put published prices and overrides in force; return whether the prices are a new version."""
        state = self.state
        is_new = state.prices is None or prices.version != state.prices.version or prices.fencing_token != state.prices.fencing_token
        state.prices, state.overrides, state.prices_seen_s = prices, overrides, now_s
        return is_new

    def terms(self, route: str) -> Terms:
        """Return what requests of a route pay now."""
        prices = self.state.prices
        if prices is not None and prices is not self._prices:
            self._prices, self._terms = prices, {}
        known = self._terms.get(route)
        if known is None:
            known = self._terms[route] = terms_of(self._prices, route)
        return known

    # -- one request -----------------------------------------------------------------------------------------------

    def decide(self, facts: RequestFacts, qualities: tuple[float, ...] | None, now_s: float, wall_s: float = 0.0) -> Ticket | Shed:
        """Choose model and backend, or queue the request, or refuse it.

        Args:
            facts: the request.
            qualities: q_m per candidate; None when nothing was scored.
            now_s: monotonic; wall_s: Unix, for overrides that expire.
        Returns: a ticket whose `placed` is None while it waits in the schedule, or a Shed.
        """
        state = self.state
        models = fits(facts.candidates, facts.prompt_tokens, facts.tokens_max)
        if not models:
            return self._too_long(facts)
        ticket = Ticket(facts, self._opening(facts))
        ticket.expectations = es = self._expect(facts, models, qualities, now_s)
        rooms = [room(m, facts.prompt_tokens, now_s, state.placement) for m in models]
        if all(r == "down" for r in rooms):
            return Shed(
                Reason.NO_BACKEND, f"no backend of {', '.join(m.name for m in models)} is available", self._reopens_s(models, now_s)
            )
        refused = take(facts.tenant, self._limits(facts.tenant), facts.prompt_tokens, now_s, state.limits)
        if refused is not None:
            return refused
        ticket.usable = tuple([r != "down" for r in rooms])
        ticket.trial = tuple([state.placement.is_trial(m) for m in models]) if len(models) > 1 else (False,)
        ticket.terms, ticket.mode = self.terms(facts.route), self.mode
        pin = state.overrides.pins.get(facts.route)
        ticket.pin = pin.threshold if pin is not None and pin.until_wall_s > wall_s else None
        ticket.choice = choice = choose(self._question(ticket), ticket.terms, self._gains.get(facts.route, NO_GAIN))
        if len(es) > 1 and len(es) == len(facts.candidates):
            state.sample.add(facts.route, facts.klass.value, tuple([e.quality for e in es]), tuple([e.usd for e in es]))
        wanted = choice.model if self.mode == "enforce" else self._first_usable(ticket)
        return self._admit(ticket, models, wanted, rooms, now_s)

    def sent(self, ticket: Ticket, now_s: float) -> None:
        """Reserve what this attempt will probably take; called just before it is sent."""
        placed = _placed(ticket)
        ticket.attempts += 1
        ticket.sent_s, ticket.first_s = now_s, None
        if ticket.attempts == 1:
            self.state.retries.attempted(self._retry_share)
        self.state.placement.sent(placed.backend, ticket.prompt_tokens, now_s)
        ticket.reserved = next((e.usd for e in ticket.expectations if e.model == placed.model.name), 0.0)
        self.state.reserved_usd += ticket.reserved

    def first_token(self, ticket: Ticket, now_s: float) -> None:
        """Note the first content of the attempt: its prompt is processed, the engine has room again."""
        if ticket.first_s is None and ticket.sent_s is not None:
            ticket.first_s = now_s
            self.state.placement.first_token(_placed(ticket).backend, ticket.prompt_tokens, now_s - ticket.sent_s, now_s)

    def failed(self, ticket: Ticket, reason: Reason, now_s: float, retry_after_s: float | None = None) -> Again | None:
        """Take in an attempt that failed before any content reached the client; return the next one, or None to give up."""
        placed, state = _placed(ticket), self.state
        self._release(ticket, now_s)
        if reason is Reason.UPSTREAM_RATE_LIMITED:
            state.placement.limited(placed.backend, now_s + (retry_after_s or 1.0))
        elif reason is not Reason.UPSTREAM_AUTH or placed.backend.id not in ticket.tried:
            if placed.backend.id not in ticket.tried:  # One request counts once per backend, however often it was repeated.
                state.placement.failed(placed.backend, now_s, is_unreachable=reason in UNREACHABLE)
                state.placement.settle(placed.model.name, ok=False, late=None)
        ticket.tried.add(placed.backend.id)
        if reason in BILLS_PROMPT:
            ticket.failed_usd += placed.model.tariff.usd(ticket.prompt_tokens, 0)
        if ticket.attempts >= self._attempts_max:
            return None
        return self._fall_back(ticket, placed, now_s) or self._repeat(ticket, placed, reason, now_s, retry_after_s)

    def next_ready(self, now_s: float) -> list[tuple[Ticket, Shed | None]]:
        """Return queued tickets that may be sent now, and those that can no longer make their deadline."""
        state = self.state
        if not state.schedule.waiting:
            return []
        out: list[tuple[Ticket, Shed | None]] = []
        for ticket in state.schedule.expired(now_s):
            ticket.queued_s = now_s - ticket.facts.arrived_s
            out.append((ticket, self._late(ticket, 0.0)))
        for name in state.schedule.models():
            model = self.catalog.models.get(name)
            while True:
                ticket = state.schedule.pop_ready(name, lambda t, m=model: self._takes(m, t, now_s))
                if ticket is None:
                    break
                ticket.queued_s = now_s - ticket.facts.arrived_s
                backend = place(model, ticket.prompt_tokens, now_s, state.placement, frozenset()) if model is not None else None
                if model is None or backend is None:
                    out.append((ticket, self._late(ticket, 0.0)))
                    continue
                self._put(ticket, model, backend)
                state.placement.hold(backend, ticket.prompt_tokens)
                out.append((ticket, None))
        return out

    def ended(self, ticket: Ticket, outcome: Outcome, now_s: float, wall_s: float = 0.0) -> Booking:
        """Settle a request: release, learn, count. Called exactly once per ticket, whatever happened."""
        state, facts = self.state, ticket.facts
        state.schedule.remove(ticket)
        if ticket.sent_s is not None:
            self._release(ticket, now_s)
        model = self.catalog.models.get(outcome.model) if outcome.model is not None else None
        usd, expected = ticket.failed_usd, 0.0
        if model is not None:
            expected = next((e.usd for e in ticket.expectations if e.model == model.name), 0.0)
            usd += billed_usd(model.tariff, outcome) if outcome.billed_usd is None else outcome.billed_usd
            self._learn(ticket, model, outcome, now_s)
        state.limits.settle(facts.tenant, outcome.prompt_tokens + outcome.completion_tokens - facts.prompt_tokens, usd)
        entries = self._entries(facts, outcome, usd, expected)
        return Booking(entries, usd, self._record(ticket, outcome, usd, wall_s))

    def refused(self, facts: RequestFacts, shed: Shed, now_s: float, wall_s: float = 0.0) -> Booking:
        """Count a request that `decide` refused."""
        outcome = Outcome(shed.reason, None, total_s=now_s - facts.arrived_s, attempts=0, was_streamed=facts.is_streaming)
        ticket = Ticket(facts, [])
        entries = self._opening(facts) + self._entries(facts, outcome, 0.0, 0.0)
        return Booking(entries, 0.0, self._record(ticket, outcome, 0.0, wall_s))

    def turned_away(self, reason: Reason) -> list[Entry]:
        """Return what is counted for a request that never became one: no key, unknown model, too large."""
        return [(f"end.{reason.value}", 1)]

    def verdict(self, is_good: bool, route: str) -> list[Entry]:
        """Return what a verdict on an answer adds to the quality SLOs of its route."""
        entries: list[Entry] = []
        for slo in self._applying(route):
            if slo.spec.kind == "quality":
                entries.append((slo.valid_field, 1))
                if not is_good:
                    entries.append((slo.bad_field, 1))
        return entries

    @property
    def waiting(self) -> int:
        """Requests in the schedule."""
        return self.state.schedule.waiting

    def board(self, now_s: float) -> dict[str, Any]:
        """Return this process's own view: backends, queue, prices in force."""
        state, prices = self.state, self.state.prices
        backends = [state.placement.view(b, m.name, now_s) for m in self.catalog.models.values() for b in m.backends]
        return {
            "backends": backends,
            "queue": {"waiting": self.waiting},
            "reserved_usd": state.reserved_usd,
            "prices_version": prices.version if prices else None,
            "prices_age_s": now_s - state.prices_seen_s if prices else None,
            "overrides": {
                "pins": [
                    {"route": p.route, "threshold": p.threshold, "until_wall_s": p.until_wall_s, "by": p.by}
                    for p in state.overrides.pins.values()
                ],
                "frozen_until_wall_s": state.overrides.frozen_until_wall_s,
                "frozen_by": state.overrides.frozen_by,
            },
        }

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _expect(
        self, facts: RequestFacts, models: Sequence[Model], qualities: tuple[float, ...] | None, now_s: float
    ) -> tuple[Expectation, ...]:
        state, out = self.state, []
        fitted = qualities is not None and len(models) == len(facts.candidates)
        for i, m in enumerate(models):
            at = i if fitted or qualities is None else facts.candidates.index(m)
            quality = NEUTRAL_QUALITY if qualities is None else qualities[at]
            health = state.placement.health(m.name)
            completion = state.lengths.expect(facts.route, m.name, facts.tokens_max)
            usd = expected_usd(m.tariff, facts.prompt_tokens, completion) if facts.expected_usd is None else facts.expected_usd[at]
            factor = self._prices.factors.get(m.name, 1.0)
            out.append(Expectation(m.name, quality, health.success, health.late, usd * factor, completion))
        return tuple(out)

    def _question(self, ticket: Ticket) -> Question:
        facts = ticket.facts
        return Question(
            ticket.expectations, ticket.usable, ticket.trial, facts.klass.value, facts.draws,
            facts.client_threshold, facts.may_set_threshold, ticket.pin,
        )  # fmt: skip

    def _first_usable(self, ticket: Ticket) -> str:
        """Observe mode changes nothing: the best model answers, as it would without us."""
        return next(e.model for e, ok in zip(ticket.expectations, ticket.usable, strict=True) if ok)

    def _admit(self, ticket: Ticket, models: Sequence[Model], wanted: str, rooms: Sequence[str], now_s: float) -> Ticket | Shed:
        """Send now, queue, take another candidate that has room, or refuse."""
        state, facts = self.state, ticket.facts
        model = next(m for m in models if m.name == wanted)
        if rooms[models.index(model)] == "now":
            backend = place(model, facts.prompt_tokens, now_s, state.placement, frozenset())
            if backend is not None:
                self._put(ticket, model, backend)
                return ticket
        shed = state.schedule.admit(ticket, model.name, facts.klass, facts.prompt_tokens, facts.arrived_s, now_s, self._prefill_s(model))
        if shed is None:
            return ticket
        for other, has_room in zip(models, rooms, strict=True):
            if has_room == "now" and other is not model:
                backend = place(other, facts.prompt_tokens, now_s, state.placement, frozenset())
                if backend is not None:
                    self._put(ticket, other, backend)
                    return ticket
        return self._late(ticket, shed.retry_after_s) if shed.reason is Reason.SHED_DEADLINE else shed

    def _put(self, ticket: Ticket, model: Model, backend: Backend) -> None:
        choice = ticket.choice
        assert choice is not None
        version = ticket.terms.version if ticket.terms is not None else 0
        ticket.placed = Placed(choice, model, backend, ticket.expectations, version)

    def _fall_back(self, ticket: Ticket, placed: Placed, now_s: float) -> Again | None:
        """Another backend of the same model, else the best-scored other candidate."""
        state = self.state
        avoid = frozenset(ticket.tried)
        backend = place(placed.model, ticket.prompt_tokens, now_s, state.placement, avoid)
        if backend is not None:
            self._put(ticket, placed.model, backend)
            return Again(0.0, is_retry=False)
        scores = ticket.choice.scores if ticket.choice is not None else ()
        order = sorted(range(len(ticket.expectations)), key=lambda i: -scores[i])
        for i in order:
            model = self.catalog.models[ticket.expectations[i].model]
            if model is placed.model:
                continue
            backend = place(model, ticket.prompt_tokens, now_s, state.placement, avoid)
            if backend is not None:
                self._put(ticket, model, backend)
                return Again(0.0, is_retry=False)
        return None

    def _repeat(self, ticket: Ticket, placed: Placed, reason: Reason, now_s: float, retry_after_s: float | None) -> Again | None:
        """The same backend again, within the retry budget and with what it asked for as pause."""
        pause_s = retry_after_s if retry_after_s is not None else 0.1 * 2 ** (ticket.attempts - 1) * (0.5 + ticket.facts.draws[1])
        if reason not in RETRYABLE or pause_s > RETRY_WAIT_S_MAX or not self.state.retries.take():
            return None
        return Again(pause_s, is_retry=True)

    def _takes(self, model: Model | None, ticket: Ticket, now_s: float) -> bool:
        return model is None or room(model, ticket.prompt_tokens, now_s, self.state.placement) != "later"

    def _release(self, ticket: Ticket, now_s: float) -> None:
        placed, state = _placed(ticket), self.state
        state.placement.ended(placed.backend, ticket.prompt_tokens, had_first=ticket.first_s is not None, now_s=now_s)
        state.reserved_usd = max(state.reserved_usd - ticket.reserved, 0.0)
        ticket.sent_s, ticket.reserved = None, 0.0

    def _learn(self, ticket: Ticket, model: Model, outcome: Outcome, now_s: float) -> None:
        """Health, breaker, lengths and tokens per byte from an answer, or from its failure after content."""
        state, facts = self.state, ticket.facts
        fault = outcome.reason.ending.fault
        is_answer = outcome.reason is Reason.SERVED
        if is_answer or fault is Fault.BACKEND:
            late = None if outcome.ttft_s is None or self._late_s is None else outcome.ttft_s > self._late_s
            placed = _placed(ticket)
            if is_answer:
                state.placement.succeeded(placed.backend, now_s)
                state.placement.settle(model.name, ok=True, late=late)
            elif placed.backend.id not in ticket.tried:
                state.placement.failed(placed.backend, now_s, is_unreachable=False)
                state.placement.settle(model.name, ok=False, late=None)
        if is_answer and not outcome.is_estimated:
            state.lengths.learn(facts.route, model.name, outcome.completion_tokens)

    def _opening(self, facts: RequestFacts) -> list[Entry]:
        return [("req", 1), (f"r.{facts.route}.req", 1)]

    def _entries(self, facts: RequestFacts, outcome: Outcome, usd: float, expected: float) -> list[Entry]:
        """Everything that is counted for one request."""
        route, nano = facts.route, round(usd * NANO)
        entries: list[Entry] = [("n", 1), (f"r.{route}.n", 1), (f"end.{outcome.reason.value}", 1), (f"k.{facts.klass.name}", 1)]
        if nano:
            entries += [("usd", nano), (f"r.{route}.usd", nano)]
        if outcome.model is not None:
            name = outcome.model
            entries += [(f"m.{name}.n", 1), (f"m.{name}.usd", nano), (f"m.{name}.exp", round(expected * NANO))]
            entries += [(f"m.{name}.in", outcome.prompt_tokens), (f"m.{name}.out", outcome.completion_tokens)]
        is_shed = outcome.reason in (Reason.SHED_DEADLINE, Reason.SHED_OVERLOAD)
        if is_shed:
            entries.append((f"shed.{outcome.reason.value}.{facts.klass.name}", 1))
        for slo in self._applying(route):
            if is_shed and facts.klass.exempts_sheds:
                continue
            verdict = slo.sli.judge(outcome)
            if verdict is not None:
                entries.append((slo.valid_field, 1))
                if not verdict:
                    entries.append((slo.bad_field, 1))
        return entries

    def _applying(self, route: str) -> tuple[Slo, ...]:
        known = self._slos_of.get(route)
        if known is None:
            known = self._slos_of[route] = tuple(s for s in self._slos if s.spec.route in (None, route))
        return known

    def _limits(self, tenant: str) -> Any:
        known = self.catalog.tenants.get(tenant)
        return known.limits if known is not None else None

    def _too_long(self, facts: RequestFacts) -> Shed:
        longest = max(m.context_tokens for m in facts.candidates)
        asked = f" and {facts.tokens_max} for the answer" if facts.tokens_max is not None else ""
        message = (
            f"about {facts.prompt_tokens} prompt tokens{asked} do not fit: the longest context of "
            f"{', '.join(m.name for m in facts.candidates)} is {longest} tokens; shorten the prompt or lower max_tokens"
        )
        return Shed(Reason.CONTEXT_TOO_LONG, message, 0.0, "messages")

    def _late(self, ticket: Ticket, wait_s: float) -> Shed:
        facts = ticket.facts
        message = f"busy: class {facts.klass.name} cannot get its first token within {facts.klass.ttft_deadline_s:g} s; try again later"
        return Shed(Reason.SHED_DEADLINE, message, wait_s or retry_after_s(facts.klass.ttft_deadline_s, facts.draws[1]))

    def _reopens_s(self, models: Iterable[Model], now_s: float) -> float:
        """Return when one of the backends may be tried again, at least a second from now."""
        times = [self.state.placement.reopens_s(b, now_s) for m in models for b in m.backends]
        return max(min(times, default=1.0), 1.0)

    def _prefill_s(self, model: Model) -> float:
        """Return seconds per prompt token of the model's fastest backend."""
        return min((self.state.placement.prefill_s_per_token(b) for b in model.backends), default=0.0)

    def _record(self, ticket: Ticket, outcome: Outcome, usd: float, wall_s: float) -> tuple[Any, ...]:
        """Return the decision record, in the order of `core/routing/record.py` RECORD_FIELDS."""
        facts, choice = ticket.facts, ticket.choice
        decided = (choice.model, choice.reason, choice.scores, choice.margin, choice.win_rate, choice.threshold) if choice else (None,) * 6
        return (
            "decision", wall_s, facts.request_id, facts.endpoint.value, facts.tenant, facts.klass.name, facts.klass.value, facts.route,
            facts.named, ticket.terms.version if ticket.terms else None,
            ticket.expectations, ticket.usable, ticket.trial, facts.draws, facts.client_threshold, facts.may_set_threshold, ticket.pin,
            ticket.mode, *decided,
            outcome.model, ticket.placed.backend.id if ticket.placed else None, ticket.attempts, outcome.reason.value, outcome.ttft_s,
            outcome.total_s, ticket.queued_s, outcome.prompt_tokens, outcome.completion_tokens, outcome.cached_tokens, usd,
            outcome.is_estimated,
        )  # fmt: skip


def _placed(ticket: Ticket) -> Placed:
    if ticket.placed is None:
        raise AssertionError(f"request {ticket.facts.request_id} has no backend yet")
    return ticket.placed
