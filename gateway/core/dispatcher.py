"""The decisions of one request, in order: decide, drawn, sent, first_token, failed, next_ready, ended.

No rule lives here twice: which model is `routing`, what scarcity costs is `pricing`, which backend is `placement`, when or
not at all is `scheduling`, what it will take is `estimate`, who may is `tenants`, what is counted is `budget`. This file
only says who is asked when, and keeps one request's books: what was reserved is released, what ended is counted once.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from gateway.core.budget.book import Book
from gateway.core.budget.promise import Promise, promise_of
from gateway.core.budget.slis.coherence import SWITCHES_MAX
from gateway.core.budget.slo import Slo
from gateway.core.estimate.cost import billed_usd
from gateway.core.lane import Lane
from gateway.core.placement.accounts import Attempt
from gateway.core.placement.breaker import BreakerState
from gateway.core.placement.health import HEALTHY
from gateway.core.placement.place import look, look_at, place
from gateway.core.placement.readiness import late_probability, prefill_tokens_per_s, reopens_s
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.fit import fits
from gateway.core.routing.route import Question, choose
from gateway.core.state import State
from gateway.core.tenants.limits import LACKING
from gateway.core.tenants.scope import is_limited, limits_of
from gateway.core.ticket import Again, Booking, Ticket
from gateway.domain.catalog import Backend, Catalog, Model
from gateway.domain.decision import Choice, Placed, Shed
from gateway.domain.errors import BACKEND_FAULTS, SERVED, UPSTREAM_REFUSED, Reason
from gateway.domain.event import Entry, Outcome
from gateway.domain.expectation import Expectation
from gateway.domain.facts import RequestFacts
from gateway.domain.limit import Limit, LimitKind
from gateway.domain.prices import Overrides, Prices

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
DUST_USD = 1e-12
"""Below this, what is reserved is the rounding of sums, not money."""
NO_GAIN, NO_PRICES = Gain(), Prices(0, 0, "", 0.0, "none")


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
        self._book, self._gains = Book(slos), gains
        self._retry_share, self._attempts_max = retry_share, attempts_max
        self._slos = tuple(slos)
        self._has_tenants = len(catalog.tenants) > 1
        self._lanes: dict[str, Lane] = {}
        self._limited = {t.name: t for t in catalog.tenants.values() if is_limited(t)}
        self._limits: dict[tuple[str, str | None, str], tuple[Limit, ...]] = {}

    # -- prices in force -------------------------------------------------------------------------------------------

    def adopt(self, prices: Prices, overrides: Overrides, now_s: float) -> bool:
        """Put published prices and overrides in force; return whether the prices are a new version."""
        state = self.state
        is_new = state.prices is None or prices.version != state.prices.version or prices.fencing_token != state.prices.fencing_token
        state.prices, state.overrides, state.prices_seen_s = prices, overrides, now_s
        return is_new

    def promise(self, route: str) -> Promise:
        """Return what the SLOs promise to requests of a route."""
        return self._lane(route).promise

    def _lane(self, route: str) -> Lane:
        known = self._lanes.get(route)
        if known is None:
            gain, prices = self._gains.get(route, NO_GAIN), self.state.prices or NO_PRICES
            known = self._lanes[route] = Lane(route, promise_of(self._slos, route), gain, self._book.opening(route), prices)
        return known

    # -- one request -----------------------------------------------------------------------------------------------

    def decide(self, facts: RequestFacts, qualities: tuple[float, ...] | None, now_s: float, wall_s: float = 0.0) -> Ticket | Shed:
        """Choose model and backend, or queue the request, or refuse it.

        Args:
            facts: the request.
            qualities: q_m per candidate; None when nothing was scored.
            now_s: monotonic; wall_s: Unix, for overrides that expire.
        Returns: a ticket, or a Shed. A ticket that `lacks` units of its tenant's limits goes on with `drawn` once the store
            was asked for them; otherwise one whose `placed` is None waits in the schedule.
        """
        state = self.state
        models = fits(facts.candidates, facts.prompt_tokens, facts.tokens_max)
        if not models:
            return self._too_long(facts)
        lane = self._lane(facts.route)
        ticket = Ticket(facts, lane.opening)
        ticket.mode, ticket.terms = self.mode, lane.at(state.prices or NO_PRICES)
        self._foresee(ticket, lane, models, qualities, now_s)
        if True not in ticket.usable:
            wait_s = min(reopens_s(m, now_s, state.placement) for m in models)
            return Shed(Reason.NO_BACKEND, f"no backend of {', '.join(m.name for m in models)} is available", wait_s)
        es = ticket.expectations
        pins = state.overrides.pins
        if pins:
            pin = pins.get(facts.route)
            ticket.pin = pin.threshold if pin is not None and pin.until_wall_s > wall_s else None
        question = Question(
            es, ticket.usable, ticket.trial, facts.klass.value, facts.draws, facts.client_threshold, facts.may_set_threshold, ticket.pin
        )
        ticket.choice = choice = choose(question, ticket.terms, lane.gain)
        if len(es) > 1 and len(es) == len(facts.candidates):
            state.sample.add(facts.route, facts.klass.value, qualities or (NEUTRAL_QUALITY,) * len(es), ticket.listed_usd)
        wanted = choice.model if self.mode == "enforce" else self._first_usable(ticket)
        if facts.tenant in self._limited:
            refused = self._take(ticket, wanted, now_s, wall_s)
            if refused is not None or ticket.lacks:
                return refused or ticket
            wanted = ticket.wanted
        return self._admit(ticket, models, wanted, now_s)

    def drawn(self, ticket: Ticket, refused: Shed | None, now_s: float, wall_s: float = 0.0) -> Ticket | Shed:
        """Go on with a ticket that lacked units, now that the store was asked for them.

        Args:
            refused: the limit that refuses nevertheless.
        """
        if refused is not None and (refused := self._take_other(ticket, refused, now_s, wall_s)) is not None:
            return refused
        facts = ticket.facts
        return self._admit(ticket, fits(facts.candidates, facts.prompt_tokens, facts.tokens_max), ticket.wanted, now_s)

    def sent(self, ticket: Ticket, now_s: float) -> None:
        """Count an attempt and reserve what it will probably take; called just before it is sent."""
        ticket.attempts += 1
        if ticket.attempts == 1:
            self.state.retries.attempted(self._retry_share)
        if ticket.attempt is None:
            self._reserve(ticket, now_s)

    def first_token(self, ticket: Ticket, now_s: float) -> None:
        """Note the first content of the attempt: its prompt is processed, the engine has room again."""
        if ticket.attempt is not None:
            ticket.attempt.first_token(now_s)

    def failed(self, ticket: Ticket, reason: Reason, now_s: float, retry_after_s: float | None = None) -> Again | None:
        """Take in an attempt that failed before any content reached the client; return the next one, or None to give up."""
        placed = _placed(ticket)
        self._judge_failure(ticket, placed, reason, now_s, retry_after_s)
        if reason in BILLS_PROMPT:
            ticket.failed_usd += placed.model.tariff.usd(ticket.facts.prompt_tokens, 0)
        if ticket.attempts >= self._attempts_max:
            return None
        return self._fall_back(ticket, placed, now_s) or self._repeat(ticket, placed, reason, retry_after_s)

    def next_ready(self, now_s: float) -> list[tuple[Ticket, Shed | None]]:
        """Return queued tickets that were given a backend and are to be sent now, and those that are refused.

        What they will take is reserved here already, or the whole queue would see the same room.
        """
        schedule = self.state.schedule
        if not schedule.waiting:
            return []
        out: list[tuple[Ticket, Shed | None]] = list(schedule.refused(now_s))
        for name in schedule.models():
            model = self.catalog.models.get(name)
            while (moved := schedule.pop_ready(name, now_s, partial(self._delay_s, model, now_s))) is not None:
                ticket, shed = moved
                if shed is None and not self._dispatch(ticket, model, now_s):
                    shed = Shed(Reason.NO_BACKEND, f"no backend of {name} is available", 1.0)
                out.append((ticket, shed))
        for ticket, _ in out:
            ticket.queued_s = now_s - ticket.facts.arrived_s
        return out

    def ended(self, ticket: Ticket, outcome: Outcome, now_s: float, wall_s: float = 0.0) -> Booking:
        """Settle a request: release, learn, count. Called exactly once per ticket, whatever happened."""
        state, facts = self.state, ticket.facts
        if ticket.placed is None:
            state.schedule.remove(ticket, now_s)
        promise = self._lane(facts.route).promise
        self._close(ticket, promise, outcome, now_s)
        model = self.catalog.models.get(outcome.model) if outcome.model is not None else None
        usd = estimated = ticket.failed_usd  # Nobody reports what a failed attempt used.
        expected, predicted = 0.0, None
        if model is not None:
            expected = ticket.listed_usd[ticket.at]
            if ticket.is_scored:
                predicted = ticket.expectations[ticket.at].quality
            usd += billed_usd(model.tariff, outcome)
            if outcome.is_estimated:
                estimated = usd
            if outcome.reason is SERVED and not outcome.is_estimated:
                state.lengths.learn(facts.route, model.name, facts.tokens_max, outcome.completion_tokens)
                if facts.prompt_bytes:
                    state.tokens.learn_prompt(facts.route, facts.prompt_bytes, outcome.prompt_tokens)
            if outcome.timelines:
                self._learn_pace(facts.route, promise, model.name, outcome)
            # Who names a model chooses for itself: those turns are not ours to keep together.
            if facts.named is None and outcome.reason is SERVED and promise.keeps_conversations:
                outcome = replace(outcome, switch=state.conversations.answered(facts.draws[0], facts.turns, model.name))
        if self._has_tenants:
            state.fairness.ended(facts.tenant, outcome.reason, now_s)
        if ticket.draw is not None:
            state.limits.settle(ticket.draw, outcome.prompt_tokens + outcome.completion_tokens, usd)
        entries = self._book.settled(facts.route, facts.klass, outcome, usd, expected, predicted, estimated)
        return Booking(entries, usd, ticket, outcome, wall_s)

    def refused(self, facts: RequestFacts, shed: Shed, now_s: float, wall_s: float = 0.0) -> Booking:
        """Count a request that `decide` refused."""
        outcome = Outcome(shed.reason, None, total_s=now_s - facts.arrived_s, attempts=0, was_streamed=facts.is_streaming)
        ticket = Ticket(facts, [])
        if self._has_tenants:
            self.state.fairness.ended(facts.tenant, shed.reason, now_s)
        entries = self._book.opening(facts.route) + self._book.settled(facts.route, facts.klass, outcome, 0.0, 0.0)
        return Booking(entries, 0.0, ticket, outcome, wall_s)

    def turned_away(self, reason: Reason) -> list[Entry]:
        """Return what is counted for a request that never became one: no key, unknown model, too large."""
        return self._book.turned_away(reason)

    def verdict(self, is_good: bool, route: str, weight: float = 1.0) -> list[Entry]:
        """Return what a verdict on an answer adds to the quality SLOs of its route; weight: `slis.quality.weight_of`."""
        return self._book.verdict(is_good, route, weight)

    def is_limited(self, facts: RequestFacts) -> bool:
        """Say whether a request's tenant has hard limits."""
        return facts.tenant in self._limited

    def standing(self, facts: RequestFacts, ticket: Ticket | None, now_s: float, wall_s: float) -> list[tuple[LimitKind, int, int, float]]:
        """Return how the limits of a limited tenant's request stand: kind, limit, what is left, seconds until it is whole again."""
        model = ticket.wanted if ticket is not None and ticket.wanted else facts.candidates[0].name
        return self.state.limits.standing(self._limits_of(facts, model), now_s, wall_s)

    @property
    def waiting(self) -> int:
        """Requests in the schedule."""
        return self.state.schedule.waiting

    def board(self, now_s: float) -> dict[str, Any]:
        """Return this process's own view: backends, queue, prices in force."""
        state, prices = self.state, self.state.prices
        backends = [self._view(m, b, now_s) for m in self.catalog.models.values() for b in m.backends]
        return {
            "backends": backends,
            "queue": {"waiting": self.waiting},
            "reserved_usd": state.reserved_usd,
            "fairness": state.fairness.index(now_s) if self._has_tenants else None,
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

    def _foresee(self, ticket: Ticket, lane: Lane, models: Sequence[Model], qualities: tuple[float, ...] | None, now_s: float) -> None:
        """Note where each fitting candidate would answer, what it would probably do, and what it would cost at list prices."""
        state, factors, facts, promise = self.state, lane.prices.factors, ticket.facts, lane.promise
        placement, lengths, prompt_tokens, candidates = state.placement, state.lengths, facts.prompt_tokens, facts.candidates
        is_binned, loyal = promise.is_binned, None
        late_s = promise.first_token_s(prompt_tokens) if is_binned else promise.only_first_token_s
        if promise.keeps_conversations and facts.named is None:
            kept = state.conversations.look(facts.draws[0], facts.turns)
            loyal = kept.model if kept is not None and kept.switches >= SWITCHES_MAX else None
        is_whole, is_any_down = len(models) == len(candidates), False
        outlooks, out, listed = [], [], []
        for i, m in enumerate(models):
            at, name, standing = i if is_whole else candidates.index(m), m.name, placement.standing(m)
            outlook = look_at(standing, prompt_tokens, now_s)
            outlooks.append(outlook)
            if outlook.room == "down" or outlook.is_trial:
                is_any_down = True
            health = standing.health
            late = health.late
            if late_s is not None:
                if is_binned:
                    late = state.misses.expect(name, late_s, late)
                if outlook.is_bounded:
                    late = late_probability(outlook, late, late_s)
            completion = lengths.expect(facts.route, name, facts.tokens_max)
            usd = m.tariff.usd(prompt_tokens, completion) if facts.expected_usd is None else facts.expected_usd[at]
            listed.append(usd)
            stall = state.misses.expect(name, facts.route) if promise.paces else 0.0
            breaks = 0.0 if loyal is None or name == loyal else 1.0
            quality = NEUTRAL_QUALITY if qualities is None else qualities[at]
            out.append(Expectation(name, quality, health.success, late, usd * factors.get(name, 1.0), completion, stall, breaks))
        ticket.outlooks, ticket.usable, ticket.trial = outlooks, (True,) * len(models), (False,) * len(models)
        if is_any_down:
            ticket.usable, ticket.trial = tuple([o.room != "down" for o in outlooks]), tuple([o.is_trial for o in outlooks])
        ticket.expectations, ticket.listed_usd, ticket.is_scored = tuple(out), tuple(listed), qualities is not None

    def _first_usable(self, ticket: Ticket) -> str:
        """Observe mode changes nothing: the best model answers, as it would without us."""
        return next(e.model for e, ok in zip(ticket.expectations, ticket.usable, strict=True) if ok)

    def _take(self, ticket: Ticket, wanted: str, now_s: float, wall_s: float) -> Shed | None:
        """Take the request from its tenant's limits."""
        refused = self._draw(ticket, wanted, now_s, wall_s)
        return refused if refused is None else self._take_other(ticket, refused, now_s, wall_s)

    def _take_other(self, ticket: Ticket, refused: Shed, now_s: float, wall_s: float) -> Shed | None:
        """Where a model with a limit of its own refuses, take the best other candidate whose limits have units at hand."""
        choice, facts, first = ticket.choice, ticket.facts, ticket.wanted
        if choice is None or first not in self._limited[facts.tenant].model_limits:
            return refused
        order = sorted(range(len(ticket.expectations)), key=lambda i: -choice.scores[i])
        for e in (ticket.expectations[i] for i in order if ticket.usable[i]):
            if e.model != first and self._draw(ticket, e.model, now_s, wall_s, at_hand=True) is None:
                return None
        return refused

    def _draw(self, ticket: Ticket, model: str, now_s: float, wall_s: float, at_hand: bool = False) -> Shed | None:
        """Take the request from its limits with one model, or note what is lacking (not if it has to be `at_hand`)."""
        limits, (tokens, usd) = self.state.limits, self._usage(ticket, model)
        draw = limits.draw(self._limits_of(ticket.facts, model), tokens, usd, now_s)
        answer = limits.take(draw, now_s, wall_s, was_asked=at_hand)
        ticket.draw, ticket.wanted = draw, model
        return None if answer is LACKING else answer

    def _usage(self, ticket: Ticket, model: str) -> tuple[int, float]:
        """Return the tokens and dollars that a request will probably take with a model."""
        e = ticket.expectations[_index(ticket.expectations, model)]
        return ticket.facts.prompt_tokens + e.completion_tokens, e.usd

    def _limits_of(self, facts: RequestFacts, model: str) -> tuple[Limit, ...]:
        """Return the limits of a request of a limited tenant."""
        key = (facts.tenant, facts.key, model)
        known = self._limits.get(key)
        if known is None:
            known = self._limits[key] = limits_of(self._limited[facts.tenant], facts.key, model)
        return known

    def _moves(self, ticket: Ticket, model: Model, now_s: float) -> bool:
        """Let what was taken from the limits follow the request to another model; False where that model's limit says no."""
        if ticket.draw is None or model.name == ticket.wanted:
            return True
        tokens, usd = self._usage(ticket, model.name)
        limits, was_sent = self._limits_of(ticket.facts, model.name), ticket.attempts > 0
        if not self.state.limits.move(ticket.draw, limits, model.name, tokens, usd, now_s, was_sent):
            return False
        ticket.wanted = model.name
        return True

    def _admit(self, ticket: Ticket, models: Sequence[Model], wanted: str, now_s: float) -> Ticket | Shed:
        """Send now, queue, take another candidate that has room, or refuse."""
        state, facts = self.state, ticket.facts
        at = 0 if models[0].name == wanted else _index(ticket.expectations, wanted)  # one for each of `models`
        model, outlook = models[at], ticket.outlooks[at]
        delay_s = outlook.delay_s if outlook.backend is not None else None
        if delay_s == 0.0 and not state.schedule.waiting:  # Nobody waits anywhere and nothing would delay it: the usual case.
            self._put(ticket, at, model, outlook.backend)
            return ticket
        rate = prefill_tokens_per_s(model, now_s, state.placement)
        deadline_s = facts.arrived_s + facts.klass.ttft_deadline_s
        admitted = state.schedule.admit(
            ticket, model.name, facts.klass.rank, deadline_s, facts.prompt_tokens, delay_s, rate, now_s, facts.draws[1]
        )
        if admitted is True:
            self._put(ticket, at, model, outlook.backend)
        if isinstance(admitted, bool):
            return ticket
        for i, (other, there) in enumerate(zip(models, ticket.outlooks, strict=True)):
            if other is not model and there.backend is not None and self._moves(ticket, other, now_s):
                self._put(ticket, i, other, there.backend)
                return ticket
        if ticket.draw is not None:
            state.limits.undo(ticket.draw)
        return admitted

    def _put(self, ticket: Ticket, at: int, model: Model, backend: Backend | None) -> None:
        """Name the backend that takes the next attempt; `at`: where its model stands among the candidates."""
        choice, terms = ticket.choice, ticket.terms
        assert choice is not None and terms is not None and backend is not None
        ticket.at = at
        if model.name != choice.model:  # The record keeps what was decided; the client is told why another answers.
            why = "fallback" if self.mode == "enforce" or ticket.attempts else "observe"
            choice = Choice(model.name, why, choice.scores, choice.margin, choice.win_rate, choice.threshold)
        ticket.placed = Placed(choice, model, backend, terms.version)

    def _fall_back(self, ticket: Ticket, placed: Placed, now_s: float) -> Again | None:
        """Another backend of the same model, else the best-scored other candidate."""
        state = self.state
        avoid = frozenset(ticket.tried)
        backend = place(placed.model, ticket.facts.prompt_tokens, now_s, state.placement, avoid)
        if backend is not None:
            self._put(ticket, ticket.at, placed.model, backend)
            return Again(0.0, is_retry=False)
        scores = ticket.choice.scores if ticket.choice is not None else ()
        order = sorted(range(len(ticket.expectations)), key=lambda i: -scores[i])
        for i in order:
            model = self.catalog.models[ticket.expectations[i].model]
            if model is placed.model:
                continue
            backend = place(model, ticket.facts.prompt_tokens, now_s, state.placement, avoid)
            if backend is not None and self._moves(ticket, model, now_s):
                self._put(ticket, i, model, backend)
                return Again(0.0, is_retry=False)
        return None

    def _repeat(self, ticket: Ticket, placed: Placed, reason: Reason, retry_after_s: float | None) -> Again | None:
        """The same backend again, within the retry budget and with what it asked for as pause."""
        pause_s = retry_after_s if retry_after_s is not None else 0.1 * 2 ** (ticket.attempts - 1) * (0.5 + ticket.facts.draws[1])
        if reason not in RETRYABLE or pause_s > RETRY_WAIT_S_MAX or not self.state.retries.take():
            return None
        return Again(pause_s, is_retry=True)

    def _delay_s(self, model: Model | None, now_s: float, ticket: Ticket) -> float | None:
        """Return what admission asks of a waiting request: its delay if sent now, None while there is no room."""
        if model is None:
            return 0.0  # A config edit took the model away: let it out, `_dispatch` finds another.
        outlook = look(model, ticket.facts.prompt_tokens, now_s, self.state.placement)
        return None if outlook.room == "later" else outlook.delay_s

    def _dispatch(self, ticket: Ticket, model: Model | None, now_s: float) -> bool:
        """Give a request that leaves the queue a backend and reserve it; False when there is none for any candidate."""
        names = [model.name] if model is not None else []
        names += [e.model for e in ticket.expectations if e.model not in names]
        for candidate in (self.catalog.models.get(n) for n in names):
            backend = place(candidate, ticket.facts.prompt_tokens, now_s, self.state.placement) if candidate is not None else None
            if candidate is not None and backend is not None and self._moves(ticket, candidate, now_s):
                self._put(ticket, _index(ticket.expectations, candidate.name), candidate, backend)
                self._reserve(ticket, now_s)
                return True
        return False

    def _reserve(self, ticket: Ticket, now_s: float) -> None:
        placed, facts = _placed(ticket), ticket.facts
        ticket.attempt = self.state.placement.sent(placed.model, placed.backend, facts.prompt_tokens, now_s, facts.is_streaming)
        ticket.reserved = ticket.expectations[ticket.at].usd
        self.state.reserved_usd += ticket.reserved

    def _release(self, ticket: Ticket) -> Attempt | None:
        """Take the attempt in flight out of the ticket, with its dollars."""
        attempt, ticket.attempt = ticket.attempt, None
        left_usd = self.state.reserved_usd - ticket.reserved
        self.state.reserved_usd = left_usd if left_usd > DUST_USD else 0.0
        ticket.reserved = 0.0
        return attempt

    def _judge_failure(self, ticket: Ticket, placed: Placed, reason: Reason, now_s: float, retry_after_s: float | None) -> None:
        """Tell breaker and health; one request counts once per backend, however often it was repeated there."""
        attempt, is_news = self._release(ticket), placed.backend.id not in ticket.tried
        ticket.tried.add(placed.backend.id)
        if reason is Reason.UPSTREAM_RATE_LIMITED:
            if attempt is not None:
                attempt.limited(now_s + (retry_after_s or 1.0))
            return
        if attempt is not None:
            attempt.failed(now_s, reason in UNREACHABLE, counts=is_news)
        if is_news:
            self.state.placement.health(placed.model.name).settle(ok=False, late=None)

    def _close(self, ticket: Ticket, promise: Promise, outcome: Outcome, now_s: float) -> None:
        """End the attempt in flight with what it says about its backend."""
        if ticket.attempt is None:
            return
        placed, reason = _placed(ticket), outcome.reason
        if reason in BACKEND_FAULTS:
            self._judge_failure(ticket, placed, reason, now_s, None)
            return
        attempt = self._release(ticket)
        assert attempt is not None
        if reason is not SERVED and reason is not UPSTREAM_REFUSED:
            attempt.released()
            return
        health = self.state.placement.health(placed.model.name)
        attempt.succeeded(now_s)
        is_late = None
        if outcome.ttft_s is not None:
            late_s = promise.first_token_s(ticket.facts.prompt_tokens) if promise.is_binned else promise.only_first_token_s
            is_late = None if late_s is None else outcome.ttft_s > late_s
            if promise.is_binned and late_s is not None and is_late is not None:
                self.state.misses.learn(placed.model.name, late_s, is_late, health.late)
        health.settle(ok=True, late=is_late)
        if True in ticket.trial and placed.model.name in self._on_trial(ticket) and attempt.account.breaker.state is BreakerState.CLOSED:
            health.success = HEALTHY  # The trials were the evidence; a second proof by forced probes would only cost time.

    def _learn_pace(self, route: str, promise: Promise, model: str, outcome: Outcome) -> None:
        """Take in whether a stream kept the timelines of its route."""
        verdicts = [sli.judge(outcome) for sli in promise.paces]
        if True in verdicts or False in verdicts:
            self.state.misses.learn(model, route, False in verdicts)

    @staticmethod
    def _on_trial(ticket: Ticket) -> list[str]:
        """Return the models that were broken and up for trial when the ticket was decided."""
        return [e.model for e, on_trial in zip(ticket.expectations, ticket.trial, strict=True) if on_trial]

    def _view(self, model: Model, backend: Backend, now_s: float) -> dict[str, Any]:
        account = self.state.placement.account(backend.id, model.name)
        health, load = self.state.placement.health(model.name), account.load
        return {
            "id": backend.id,
            "model": model.name,
            "engine": backend.engine,
            "breaker": account.breaker.state.value,
            "success": health.success,
            "late": health.late,
            "in_flight": load.in_flight,
            "pending_tokens": load.pending_tokens(now_s),
            "ttft_s": account.ttft.predict(load.pending_tokens(now_s), 0.0, load.requests(now_s), now_s),
        }

    def _too_long(self, facts: RequestFacts) -> Shed:
        longest = max(m.context_tokens for m in facts.candidates)
        asked = f" and {facts.tokens_max} for the answer" if facts.tokens_max is not None else ""
        message = (
            f"about {facts.prompt_tokens} prompt tokens{asked} do not fit: the longest context of "
            f"{', '.join(m.name for m in facts.candidates)} is {longest} tokens; shorten the prompt or lower max_tokens"
        )
        return Shed(Reason.CONTEXT_TOO_LONG, message, 0.0, "messages")


def _index(expectations: Sequence[Expectation], model: str) -> int:
    """Return where a model stands among the candidates."""
    for i, e in enumerate(expectations):
        if e.model == model:
            return i
    raise AssertionError(f"{model} is no candidate")


def _placed(ticket: Ticket) -> Placed:
    if ticket.placed is None:
        raise AssertionError(f"request {ticket.facts.request_id} has no backend yet")
    return ticket.placed
