"""Run a scenario on virtual time: the same YAML, the real Dispatcher and Governor, engines that jump from event to event.

What is simulated is what runs: `core/assemble.py` builds the core from the configuration that the scenario gives to a real
gateway. Played by this module are only the edges: arrivals, engines and their faults, the flush and poll rhythm of the
store, health probes once per `probe_every`. No socket, no clock, no randomness but the scenario's seed.

Not modelled: the network, the gateway's own CPU, clients that leave. `load run` of the same file shows what that is worth.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from msgspec import structs

from gateway.config.load import Config
from gateway.core.assemble import Core, Prediction, assemble
from gateway.core.budget.slo import SloSpec
from gateway.core.pricing.threshold import Gain
from gateway.core.state import State
from gateway.core.ticket import Ticket
from gateway.domain.decision import Shed
from gateway.domain.errors import Reason
from gateway.domain.event import Entry, Outcome
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.domain.prices import Overrides
from gateway.wire.pace import Pace
from load.arrivals import Arrival
from load.engine import PRESETS, Engine, EventKind, Job
from load.faults import Fault, FaultKind, Switch, switches
from load.result import Result, Row, Sample
from load.scenario import Scenario, ScenarioError

BYTES_PER_TOKEN = 4
PACE_STEPS = 32
"""Pieces in which an answer's tokens are held against an expected timeline."""
PLAYED = frozenset({FaultKind.REFUSE, FaultKind.DOWN, FaultKind.ERRORS, FaultKind.SLOW})
"""Faults that have a meaning without connections."""
Qualities = Callable[[str], tuple[float, ...]]


class Played(Job):
    """A job that knows its request."""

    __slots__ = ("ticket",)

    def __init__(self, prompt_tokens: int, output_tokens: int, ticket: Ticket) -> None:
        super().__init__(prompt_tokens, output_tokens)
        self.ticket = ticket


@dataclass(slots=True)
class Open:
    """One request on its way."""

    row: Row
    arrival: Arrival
    ttft_s: float | None = None


class Simulation:
    """One scenario against one core; `run` plays it."""

    def __init__(self, scenario: Scenario, config: Config, prediction: Prediction, qualities: Qualities, started_wall_s: float) -> None:
        self.scenario, self.config, self._qualities, self._wall_0 = scenario, config, qualities, started_wall_s
        self.state = State()
        self._prediction = prediction
        self.core = self._assemble(config.slos)
        route = config.catalog.routes[scenario.route]
        self._models = tuple(config.catalog.models[m] for m in route.models)
        self._engines = {m.name: Engine[Played](PRESETS[scenario.backends[m.name]]) for m in self._models}
        self._faults: dict[str, Fault | None] = {}
        self._rng = np.random.Generator(np.random.PCG64([scenario.seed, 2]))
        self._serial = count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._woken: dict[str, float] = {}
        self._open: dict[Ticket, Open] = {}
        self._booked: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._published: Any = None
        self.rows: list[Row] = []
        self.samples: list[Sample] = []

    def run(self, traffic: Sequence[tuple[Arrival, str]], prompts: Sequence[str]) -> Result:
        """Play all traffic; `prompts` are the texts that the router sees, one per arrival."""
        config, last_s = self.config, self.scenario.duration_s
        self._govern(0.0)
        self._adopt(0.0)
        self._every(config.store.flush_every, last_s, self._flush)
        self._every(config.pricing.tick, last_s, self._govern)
        self._every(config.store.poll_every, last_s, self._adopt)
        self._every(config.upstream.probe_every, last_s, self._probe)
        for switch in switches(self.scenario.faults):
            self._at(switch.at_s, partial(self._switch, switch))
        for edit in self.scenario.budget_edits:
            self._at(edit["at_s"], partial(self._edit, edit["times"]))
        for (arrival, klass), prompt in zip(traffic, prompts, strict=True):
            self._play_until(arrival.at_s)
            self._arrive(arrival, klass, prompt)
        self._play_until(float("inf"))
        cost = next((s.spec for s in self.core.slos if s.spec.kind == "cost"), None)
        budget_usd = float(cost.options.usd) if cost is not None else None  # After every edit.
        law = config.pricing.law
        return Result(self.scenario.name, "sim", law, last_s, budget_usd, self._models[0].name, 1.0, self.rows, self.samples)

    def _assemble(self, slos: Sequence[SloSpec]) -> Core:
        config = self.config
        delay_s = config.store.flush_every + config.pricing.tick / 2 + config.store.poll_every
        return assemble(
            config.catalog, slos, config.pricing, {self.scenario.route: self._prediction}, self.state, config.mode, config.price_hash,
            delay_s, config.upstream.retry_share, config.upstream.attempts_max,
        )  # fmt: skip

    # -- time ------------------------------------------------------------------------------------------------------

    def _at(self, t_s: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (t_s, next(self._serial), act))

    def _every(self, pause_s: float, until_s: float, act: Callable[[float], None]) -> None:
        def again(t_s: float) -> None:
            act(t_s)
            if t_s + pause_s <= until_s:
                self._at(t_s + pause_s, again)

        self._at(pause_s, again)

    def _play_until(self, until_s: float) -> None:
        while self._events and self._events[0][0] <= until_s:
            t_s, _, act = heapq.heappop(self._events)
            act(t_s)

    def _wake(self, model: str, now_s: float) -> None:
        """Come back to an engine when its next event is due."""
        due_s = self._engines[model].next_event_s()
        if due_s is not None and not now_s < self._woken.get(model, -1.0) <= due_s:
            self._woken[model] = due_s
            self._at(due_s, partial(self._advance, model))

    # -- requests --------------------------------------------------------------------------------------------------

    def _arrive(self, arrival: Arrival, klass: str, prompt: str) -> None:
        now_s, n_bytes = arrival.at_s, arrival.input_tokens * BYTES_PER_TOKEN
        facts = RequestFacts(
            str(len(self.rows)), Endpoint.CHAT, f"load-{klass}", self.config.catalog.classes[klass], self.scenario.route, self._models,
            self.state.tokens.prompt(self.scenario.route, n_bytes), None, bool(self._rng.random() < self.scenario.stream_share), now_s,
            (float(self._rng.random()), float(self._rng.random())), prompt_bytes=n_bytes,
        )  # fmt: skip
        row = Row(now_s, klass, None, "", None, 0.0, attempts=0)
        self.rows.append(row)
        decided = self.core.dispatcher.decide(facts, self._qualities(prompt), now_s, self._wall_0 + now_s)
        if isinstance(decided, Shed):
            self._book(self.core.dispatcher.refused(facts, decided, now_s).entries)
            row.reason = decided.reason.value
            return
        self._book(decided.opening)
        self._open[decided] = Open(row, arrival)
        if decided.placed is not None:
            self._send(decided, now_s)

    def _send(self, ticket: Ticket, now_s: float) -> None:
        placed, opened = ticket.placed, self._open[ticket]
        assert placed is not None
        self.core.dispatcher.sent(ticket, now_s)
        opened.row.attempts = ticket.attempts
        model = placed.model.name
        fault = self._faults.get(model)
        if fault is not None and fault.kind is FaultKind.REFUSE:
            self._fail(ticket, Reason.UPSTREAM_UNREACHABLE, now_s)
        elif fault is not None and fault.status(float(self._rng.random())) is not None:
            self._fail(ticket, Reason.UPSTREAM_ERROR, now_s)
        else:
            self._engines[model].submit(Played(opened.arrival.input_tokens, opened.arrival.output_tokens, ticket), now_s)
            self._wake(model, now_s)

    def _fail(self, ticket: Ticket, reason: Reason, now_s: float) -> None:
        again = self.core.dispatcher.failed(ticket, reason, now_s)
        if again is None:
            self._finish(ticket, Outcome(reason, None, total_s=now_s - ticket.facts.arrived_s, was_streamed=True), now_s)
        elif again.delay_s > 0:
            self._at(now_s + again.delay_s, lambda t: self._send(ticket, t))
        else:
            self._send(ticket, now_s)
        self._drain_queue(now_s)

    def _advance(self, model: str, now_s: float) -> None:
        for event in self._engines[model].advance(now_s):
            ticket = event.job.ticket
            opened = self._open[ticket]
            if event.kind is EventKind.FIRST_TOKEN:
                self.core.dispatcher.first_token(ticket, now_s)
                opened.ttft_s = now_s - ticket.facts.arrived_s
            elif event.kind is EventKind.FINISHED:
                self._answered(ticket, opened, model, now_s)
        self._drain_queue(now_s)
        self._wake(model, now_s)

    def _answered(self, ticket: Ticket, opened: Open, model: str, now_s: float) -> None:
        facts, arrival = ticket.facts, opened.arrival
        times = self._times(model, now_s)
        usd = None if times == 1.0 else times * self.config.catalog.models[model].tariff.usd(arrival.input_tokens, arrival.output_tokens)
        outcome = Outcome(
            Reason.SERVED, model, opened.ttft_s if facts.is_streaming else None, now_s - facts.arrived_s, arrival.input_tokens,
            arrival.output_tokens, attempts=ticket.attempts, was_streamed=facts.is_streaming, billed_usd=usd,
        )  # fmt: skip
        expected = self.core.dispatcher.promise(facts.route).timelines
        if expected and outcome.ttft_s is not None:
            outcome = self._paced(outcome, expected)
        self._finish(ticket, outcome, now_s)

    @staticmethod
    def _paced(outcome: Outcome, expected: Sequence[tuple[float, float]]) -> Outcome:
        """Say how the expected timelines were kept, tokens being evenly spread between the first and the last."""
        assert outcome.ttft_s is not None
        pace, tokens, took_s = Pace(expected, 0.0, 1.0), outcome.completion_tokens, outcome.total_s - outcome.ttft_s
        for step in range(PACE_STEPS + 1):
            at_s = outcome.ttft_s + took_s * step / PACE_STEPS
            pace.saw(at_s, max(tokens * step // PACE_STEPS, 1))
            pace.wrote(at_s)
        return structs.replace(outcome, timelines=pace.timelines(), stall_s=took_s / max(tokens - 1, 1))

    def _finish(self, ticket: Ticket, outcome: Outcome, now_s: float) -> None:
        booking, row = self.core.dispatcher.ended(ticket, outcome, now_s, self._wall_0 + now_s), self._open.pop(ticket).row
        self._book(booking.entries)
        row.model, row.reason, row.ttft_s, row.total_s = outcome.model, outcome.reason.value, outcome.ttft_s, outcome.total_s
        row.prompt_tokens, row.completion_tokens, row.usd = outcome.prompt_tokens, outcome.completion_tokens, booking.usd

    def _drain_queue(self, now_s: float) -> None:
        if not self.core.dispatcher.waiting:
            return
        for ticket, shed in self.core.dispatcher.next_ready(now_s):
            if shed is None:
                self._send(ticket, now_s)
            else:
                self._finish(ticket, Outcome(shed.reason, None, total_s=now_s - ticket.facts.arrived_s, attempts=0), now_s)

    # -- faults ----------------------------------------------------------------------------------------------------

    def _switch(self, switch: Switch, now_s: float) -> None:
        """Put a target's fault in force, or repair it."""
        fault, target = switch.fault, switch.target
        if fault is not None and fault.kind not in PLAYED:
            raise ScenarioError(f"a fault of kind {fault.kind.value} needs connections: `load run` plays it, virtual time cannot")
        self._faults[target] = fault
        engine = self._engines[target]
        engine.slow_down(fault.slow if fault is not None else 1.0, now_s)
        if fault is not None and fault.kills_in_flight:
            for job in engine.abort_all(now_s):
                self._lose(job, target, now_s)
        self._wake(target, now_s)

    def _lose(self, job: Played, model: str, now_s: float) -> None:
        """End a request whose engine died under it: before its first token it may be tried elsewhere."""
        ticket, opened = job.ticket, self._open[job.ticket]
        if opened.ttft_s is None or not ticket.facts.is_streaming:
            self._fail(ticket, Reason.UPSTREAM_CUT, now_s)
            return
        total_s = now_s - ticket.facts.arrived_s
        cut = Outcome(Reason.UPSTREAM_CUT, model, opened.ttft_s, total_s, job.prompt_tokens, 0, is_estimated=True, was_streamed=True)
        self._finish(ticket, cut, now_s)

    def _probe(self, now_s: float) -> None:
        for model in self._models:
            for backend in model.backends:
                if backend.is_self_hosted:
                    fault = self._faults.get(model.name)
                    is_well = fault is None or fault.kind not in (FaultKind.REFUSE, FaultKind.DOWN)
                    self.state.placement.probed(backend.id, model.name, is_well, now_s)
        self._drain_queue(now_s)

    def _edit(self, times: float, now_s: float) -> None:
        """Make the cost budget larger or smaller, as an edit of the YAML does it in a gateway."""
        slos = [s.spec for s in self.core.slos]
        edited = [replace(s, options=replace(s.options, usd=s.options.usd * times)) if s.kind == "cost" else s for s in slos]
        before, self.core = self.core, self._assemble(edited)
        before.governor.hand_over(self.core.governor)

    def _times(self, model: str, now_s: float) -> float:
        """Return what a model bills, over its tariff."""
        times = 1.0
        for bill in self.scenario.bills:
            if bill["target"] == model and bill["at_s"] <= now_s < bill["at_s"] + bill["for_s"]:
                times *= bill["times"]
        return times

    def _is_away(self, now_s: float) -> bool:
        return any(a["at_s"] <= now_s < a["at_s"] + a["for_s"] for a in self.scenario.store_away)

    # -- budgets ---------------------------------------------------------------------------------------------------

    def _book(self, entries: Sequence[Entry]) -> None:
        booked = self._booked
        for name, amount in entries:
            booked[name] = booked.get(name, 0) + amount

    def _flush(self, now_s: float) -> None:
        if self._is_away(now_s):
            return
        self.state.counts.add(self._booked.items(), self._wall_0 + now_s)
        for name, amount in self._booked.items():
            self._told[name] = self._told.get(name, 0) + amount
        self._booked = {}

    def _govern(self, now_s: float) -> None:
        if self._is_away(now_s):
            return
        health = {m.name: self.state.placement.health(m.name) for m in self._models}
        seen = {name: (h.success, h.late) for name, h in health.items()}
        self._published = self.core.governor.tick(self.state.counts, self._told, self._wall_0 + now_s, seen, is_quick=True)
        self._told = {}
        self._sample(now_s)

    def _adopt(self, now_s: float) -> None:
        if self._is_away(now_s):
            return
        self.core.dispatcher.adopt(self._published.prices, Overrides(), now_s)

    def _sample(self, now_s: float) -> None:
        prices = self._published.prices
        spent = next((j.bad for j in self._published.judgements if j.slo.spec.kind == "cost"), None)
        breakers = {b.id: self.state.placement.account(b.id, m.name).breaker.state.value for m in self._models for b in m.backends}
        alpha = prices.alpha_ref.get(self.scenario.route)
        self.samples.append(
            Sample(
                now_s,
                alpha,
                spent,
                prices.mode,
                {p.slo: p.value for p in prices.prices},
                _projected(self._published),
                breakers,
                list(prices.infeasible),
            )
        )


def _projected(published: Any) -> dict[str, float | None]:
    return {j.slo.spec.name: j.projected for j in published.judgements}


def prediction_of(knots: Sequence[tuple[float, float]], sample: Any) -> Prediction:
    """Return what the core needs of a router artifact's card."""
    return Prediction(Gain(tuple(knots)), sample)
