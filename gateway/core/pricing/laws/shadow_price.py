"""`shadow_price`: one price per budget, moved by an integrator on the error in counts.

Theory. The best use of several budgets under one objective is a Lagrangian: each budget has a price, every request
takes the model whose value minus priced resources is highest. Prices are found by integrating what is spent too much:

    lambda += 0.1/(k L) dt e_cost   in [0, 4 lambda_0]       mu_d += s_d/L dt e_d   in [0, 5]
    L      = telemetry delay + completion + W/2        k = -d burn/d price by secant on the card

An integrator with dead time L is stable below gain pi/2 / L; 0.1/L leaves room for a plant gain known only roughly. The
errors e are those of `pace.py`, in counts; W is its window. dt is capped, so a suspended process does not
jump; without settled requests nothing moves (freeze), and after 15 min of silence prices drift to what the cards say. Prices
start there, too, and a cost budget that is edited in mid-period starts anew. Source and measurements of the constants: `judge/README.md`.

What differs from that page, each for a reason that is measured in CHANGELOG:

- Quality goes by predicted bad answers of all requests, corrected by verdicts as far as these contradict (`verdicts.py`), and
  aims below its objective by 2.5 standard errors of the period's own count (`MARGIN`): predictions are nearly free of noise, what
  happens is not. Its price starts where card and cost budget meet, s = 0.1/k as for cost. Without scores: verdicts, as before.
- A spell of failures or late answers (`spell.py`) may take more of what is left than its even share; and while it is
  expected to pass within the period, lambda does not fall: what the spell saves is for afterwards.

Priority: a price may not rise while a more important budget burns and the two pull the strong share opposite ways.
Infeasibility is computed on the card, not observed: twice in a row, 4 min apart. A quality that cannot be had pays at most
`CAP_LOST`: beyond it, regret grows faster than bad answers shrink.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, sqrt
from typing import Any, ClassVar

from msgspec import structs

from gateway.core.budget.ledger import CEILING, FLOOR, Judgement
from gateway.core.pricing.law import Ruling, Tick
from gateway.core.pricing.pace import COMPLETION_S, error, told, window_s
from gateway.core.pricing.solver import LEAST_PRICE, Solver
from gateway.core.pricing.spell import Spells
from gateway.core.pricing.verdicts import factor

GAIN, CAP_COST, CAP_RATIO, CAP_LOST = 0.1, 4.0, 5.0, 2.0
SPEED = {"availability": 0.5, "ttft": 0.5, "quality": 1.0}
COLD_REQUESTS = 100.0
"""Without a forecast, the price follows the card's solution for this many requests: an integrator has nothing to go by yet."""
HOT, REACH = 1.02, 0.1
RESOLVE_S, SURE = 240.0, 1.05
"""Twice in a row within 10 min, the delay that an operator is promised."""
MARGIN, MARGIN_MAX = 2.5, 0.03
"""Standard errors, and at most this part of the budget."""
FOLLOW = 0.25
"""Change of a learned factor that prices follow at once: five times its scatter."""
DT_MAX_S = 15.0
SILENCE_S = 900.0
"""After so long without a settled request, prices decay towards the cards' solution, with this time constant."""


@dataclass(slots=True)
class Memory:
    """Everything that the law remembers between ticks, by SLO name."""

    price: dict[str, float] = field(default_factory=dict)
    x: dict[str, float] = field(default_factory=dict)
    n: dict[str, float] = field(default_factory=dict)
    cap: dict[str, float] = field(default_factory=dict)
    plant: dict[str, float] = field(default_factory=dict)
    """Plant gain of cost prices, and of quality's."""
    budget: dict[str, float] = field(default_factory=dict)
    """Dollars of each cost budget when its price was last solved."""
    resolved_wall_s: float | None = None
    cold: dict[str, float] = field(default_factory=dict)
    """Requests still to be seen before the integrator takes over, by cost SLO."""
    suspect: list[str] = field(default_factory=list)
    infeasible: list[str] = field(default_factory=list)
    factors: dict[str, float] = field(default_factory=dict)
    """Billed over expected dollars per model, when prices last followed a change of them."""
    silent_s: float = 0.0
    """Seconds without a settled request."""
    spells: dict[str, Any] = field(default_factory=dict)


class ShadowPriceLaw:
    """The default law."""

    kind: ClassVar[str] = "shadow_price"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `pricing.law` of kind shadow_price: one gain set for all traffic, nothing to tune."""

    def __init__(self, options: Options) -> None:
        self.memory = Memory()
        self._spells = Spells()

    def start(self, tick: Tick) -> None:
        """Solve the prices on the cards, so that the first request already meets the budgets."""
        self._begin(structs.replace(tick, judgements=[self._sensed(tick, j) for j in tick.judgements]))

    def step(self, tick: Tick) -> Ruling:
        """Move every price by its error."""
        m = self.memory
        if tick.fresh_requests:
            self._spells.watch(tick.health, tick.dt_s)
        tick = structs.replace(tick, judgements=[self._sensed(tick, j) for j in tick.judgements])
        self._begin(tick)  # SLOs that a config edit added or changed.
        windows_s = [window_s(j, tick.rate, j.slo.spec.kind == "quality" and j.scored > 0) for j in tick.judgements]
        span_s = m.silent_s + tick.dt_s
        for j, w_s in zip(tick.judgements, windows_s, strict=True):
            name = j.slo.spec.name
            keep, part = exp(-tick.dt_s / w_s), 1.0 if span_s <= w_s else told(span_s, w_s)
            m.x[name], m.n[name] = m.x[name] * keep + part * j.fresh_bad, m.n[name] * keep + part * j.fresh_valid
        if tick.fresh_requests:
            m.silent_s = 0.0
            self._follow(tick)
            if tick.wall_s - (m.resolved_wall_s or 0.0) >= RESOLVE_S:
                self._resolve(tick)
            self._move(tick, windows_s, min(tick.dt_s, DT_MAX_S))
        else:
            m.silent_s += tick.dt_s
            if m.silent_s >= SILENCE_S:
                self._decay(tick, min(tick.dt_s, DT_MAX_S))
        known = {j.slo.spec.name for j in tick.judgements}
        return Ruling(
            {n: p for n, p in m.price.items() if n in known},
            infeasible=tuple(n for n in m.infeasible if n in known),
            allowances={j.slo.spec.name: j.allowance for j in tick.judgements},
        )

    def remember(self) -> Mapping[str, Any]:
        """Return the memory as plain data."""
        m = self.memory
        spells = {name: getattr(self._spells, name) for name in Spells.__dataclass_fields__}
        return {name: getattr(m, name) for name in Memory.__dataclass_fields__} | {"spells": spells}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from another writer's memory."""
        self.memory = Memory(**{name: memory[name] for name in Memory.__dataclass_fields__ if name in memory})
        known = self.memory.spells
        self._spells = Spells(**{name: known[name] for name in Spells.__dataclass_fields__ if name in known})

    # -- what it goes by -------------------------------------------------------------------------------------------

    def _sensed(self, tick: Tick, j: Judgement) -> Judgement:
        """Return what the law goes by: quality by its predictions, allowances by what a spell may still take."""
        kind, b = j.slo.spec.kind, j.slo.bad_ratio
        if kind == "cost":
            return j
        if kind == "quality" and j.scored > 0:
            trust = factor(j.bad, j.valid, j.predicted, j.scored)
            bad, valid, to_come = trust * j.predicted, j.scored, max(j.left * j.scored / max(j.settled, 1.0), 1.0)
            margin = min(MARGIN * sqrt((1 - b) / (b * (valid + to_come))), MARGIN_MAX)
            affordable = (b * (1 - margin) * (valid + to_come) - bad) / to_come
            j = structs.replace(j, bad=bad, valid=valid, to_come=to_come, fresh_bad=trust * j.fresh_predicted, fresh_valid=j.fresh_scored)
        elif not self._spells.lasted_s:
            return j
        else:
            spell = self._spells.allowance(kind, b, j.bad, j.valid, j.to_come, _events_per_s(tick, j))
            if spell is None:
                return j
            affordable = spell
        return structs.replace(j, allowance=min(max(affordable, FLOOR * b), CEILING * b))

    def _pull(self, tick: Tick, j: Judgement) -> float:
        """Return how much more of this budget the first model takes than the last, in allowances per request."""
        return sum([c.weight * c.pull(j.slo.spec.kind, tick.health, tick.factors) for c in tick.cards]) / j.allowance

    # -- moving ----------------------------------------------------------------------------------------------------

    def _move(self, tick: Tick, windows_s: Sequence[float], dt_s: float) -> None:
        m = self.memory
        is_passing = bool(self._spells.lasted_s) and any(
            self._spells.part(j.slo.spec.kind, j.to_come, _events_per_s(tick, j)) < 1 for j in tick.judgements
        )
        pulls: list[float] = []
        """Of more important budgets that burn."""
        for j, w_s in zip(tick.judgements, windows_s, strict=True):
            name, kind = j.slo.spec.name, j.slo.spec.kind
            fair = m.n[name] * j.allowance
            off = error(m.x[name], m.n[name], j)
            if kind == "cost" and is_passing:
                off = max(off, 0.0)
            dead_s = tick.telemetry_delay_s + COMPLETION_S + w_s / 2
            speed = GAIN / m.plant[name] if name in m.plant and (kind == "cost" or j.scored > 0) else SPEED.get(kind, 0.5)
            is_held = off > 0 and any(abs(other) > REACH and other * self._pull(tick, j) < 0 for other in pulls)
            moved = m.price[name] + (0.0 if is_held else speed / dead_s * dt_s * off)
            m.price[name] = min(max(moved, 0.0), CAP_LOST if kind == "quality" and name in m.infeasible else m.cap[name])
            if m.cold.get(name, 0.0) > 0:
                m.cold[name] -= j.fresh_valid
                self._set_out(tick, j)
            if kind == "cost" and j.is_exhausted and j.slo.spec.on_exhausted == "cheapest":
                m.price[name] = m.cap[name]
            if m.x[name] > HOT * fair:
                pulls.append(self._pull(tick, j))

    def _follow(self, tick: Tick) -> None:
        """Move cost prices with what the cards say of a model that has become dearer or cheaper; the integrator would take half an hour."""
        m, known = self.memory, self.memory.factors
        if not any(abs(f / known.get(name, 1.0) - 1.0) > FOLLOW for name, f in tick.factors.items()):
            return
        before, now = Solver(structs.replace(tick, factors=dict(known)), m.price), Solver(tick, m.price)
        for j in tick.judgements:
            if j.slo.spec.kind == "cost":
                times = max(now.cost(j), LEAST_PRICE / CAP_COST) / max(before.cost(j), LEAST_PRICE / CAP_COST)
                m.price[j.slo.spec.name] = min(m.price[j.slo.spec.name] * times, m.cap[j.slo.spec.name])
        m.factors = dict(tick.factors)

    def _decay(self, tick: Tick, dt_s: float) -> None:
        """Let prices go towards what they would start with: what was learned of the traffic is no longer true of silence."""
        m, part = self.memory, min(dt_s / SILENCE_S, 1.0)
        for name, target in self._solved(tick, tick.judgements).items():
            m.price[name] += (target - m.price[name]) * part

    # -- what the cards say ----------------------------------------------------------------------------------------

    def _begin(self, tick: Tick) -> None:
        """Give every SLO that is new, or whose budget was edited, the price that the cards say."""
        m = self.memory
        if m.resolved_wall_s is None:
            m.resolved_wall_s = tick.wall_s
        fresh = [j for j in tick.judgements if not self._is_known(j)]
        for j in fresh:
            name = j.slo.spec.name
            m.price[name] = m.x[name] = m.n[name] = 0.0
            m.plant.pop(name, None)
            m.budget.pop(name, None)
            m.cold.pop(name, None)
            m.cap[name] = CAP_RATIO
            if j.slo.spec.kind == "cost":
                m.cold[name] = COLD_REQUESTS if j.slo.spec.options.forecast_requests is None else 0.0
        for j in fresh:
            self._set_out(tick, j)

    def _is_known(self, j: Judgement) -> bool:
        m, name, is_cost = self.memory, j.slo.spec.name, j.slo.spec.kind == "cost"
        if name not in m.price or (name in m.budget) != is_cost:  # Else an edit gave the name to another kind.
            return False
        return not is_cost or m.budget[name] == float(j.slo.spec.options.usd)

    def _set_out(self, tick: Tick, j: Judgement) -> None:
        """Solve a price on the cards, with its cap and plant gain."""
        m, name = self.memory, j.slo.spec.name
        for solved, price in self._solved(tick, [j]).items():
            m.price[solved] = price
            if solved in m.budget or (solved == name and j.slo.spec.kind == "cost"):
                m.cap[solved] = CAP_COST * max(price, LEAST_PRICE)
        solver = Solver(tick, m.price)
        if j.slo.spec.kind == "cost":
            m.budget[name] = float(j.slo.spec.options.usd)
            m.plant[name] = solver.gain(j)
        elif j.slo.spec.kind == "quality":
            m.plant[name] = solver.quality_gain(j)

    def _solved(self, tick: Tick, judgements: Sequence[Judgement]) -> dict[str, float]:
        """Return prices that meet the allowances on the cards; ratio budgets that no card knows of are free."""
        out: dict[str, float] = {}
        solver = Solver(tick, self.memory.price)
        costs = [j for j in tick.judgements if j.slo.spec.kind == "cost"]
        for j in judgements:
            name, kind = j.slo.spec.name, j.slo.spec.kind
            if kind == "cost":
                out[name] = solver.cost(j)
            elif kind == "quality" and costs:
                out[name], out[costs[0].slo.spec.name] = solver.both(j, costs[0], CAP_RATIO, CAP_LOST, SURE)
            else:
                out[name] = 0.0
        return out

    def _resolve(self, tick: Tick) -> None:
        """Refresh plant gains; name what cannot be met when said twice in a row."""
        m, now = self.memory, [j.slo.spec.name for j in tick.judgements if j.is_short]
        m.resolved_wall_s = tick.wall_s
        solver = Solver(tick, m.price)
        costs = [j for j in tick.judgements if j.slo.spec.kind == "cost"]
        for j in tick.judgements:
            if j.slo.spec.kind == "cost":
                m.plant[j.slo.spec.name] = solver.gain(j)
            elif j.slo.spec.kind == "quality":
                m.plant[j.slo.spec.name] = solver.quality_gain(j)
                # What present prices lead to is enough to rule it out mostly, and costs a fortieth of the search.
                if costs and _is_lost(j, solver.bad()) and _is_lost(j, solver.bad_at(j, costs[0], CAP_RATIO)[0]):
                    now.append(j.slo.spec.name)
        m.infeasible, m.suspect = [name for name in now if name in m.suspect], now


def _events_per_s(tick: Tick, j: Judgement) -> float:
    """Return the recent rate of a budget's valid events."""
    return tick.rate * j.to_come / j.left if j.left > 0 else 0.0


def _is_lost(quality: Judgement, best: float) -> bool:
    """Return whether even the best quality that the cards hold at the cost budget's allowance misses the objective."""
    end = quality.bad + best * quality.to_come
    return end > SURE * quality.slo.bad_ratio * (quality.valid + quality.to_come)
