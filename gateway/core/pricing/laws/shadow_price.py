"""`shadow_price`: one price per budget, moved by an integrator on the error in counts.

Theory. The best use of several budgets under one objective is a Lagrangian: each budget has a price, every request
takes the model whose value minus priced resources is highest. Prices are found by integrating what is spent too much:

    x, n   sums decayed with W:   W_cost = max(60 s, 600 requests, but at most 1/8 of the period)
                                  W_d    = max(300 s [quality 1800 s], 5/b requests)
    e_cost = clip((x - n rho)/(n rho), -1, 1)          e_d = clip((x - n A)/max(n A, 5), -1, 1)
    lambda += 0.1/(k L) dt e_cost   in [0, 4 lambda_0]       mu_d += s_d/L dt e_d   in [0, 5]
    L      = telemetry delay + completion + W/2        k = -d burn/d lambda by secant on the card, at least 0.5

An integrator with dead time L is stable below gain pi/2 / L; 0.1/L leaves room for a plant gain known only roughly. The
error is in counts since log-burn and burn - 1 are biased at low traffic. dt is capped, so a suspended process does not
jump; without settled requests nothing moves (freeze). Source and measurements of every constant: `judge/README.md`.

Priority: a price may not rise while a more important budget burns and the two pull the strong share opposite ways.
Infeasibility is computed on the card, not observed: twice in a row, 15 min apart.

Not handled here: decay after 15 min of silence, a budget changed in mid-period beyond what re-targeting does.
Shown by `tests/sim/test_worlds.py` on the judge's worlds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any, ClassVar

import numpy as np

from gateway.core.budget.ledger import Judgement
from gateway.core.pricing.card import Array, Card, mean_usd
from gateway.core.pricing.law import Ruling, Tick

GAIN, CAP_COST, CAP_RATIO = 0.1, 4.0, 5.0
SPEED = {"availability": 0.5, "ttft": 0.5, "quality": 1.0}
WINDOW_S = {"availability": 300.0, "ttft": 300.0, "quality": 1800.0}
COST_REQUESTS, COST_S, EVIDENCE = 600.0, 60.0, 5.0
COST_PART = 8.0
"""The cost window is at most this part of the period, or a short period at low traffic would end before its first window."""
COLD_REQUESTS = 100.0
"""Without a forecast, the price follows the card's solution for this many requests: an integrator has nothing to go by yet."""
HOT, REACH = 1.02, 0.1
RESOLVE_S, SURE = 900.0, 1.05
COMPLETION_S = 10.0
"""Mean time from decision to settled cost that the gain allows for."""
DT_MAX_S = 15.0
LEAST_LAMBDA, LEAST_GAIN = 0.05, 0.5


@dataclass(slots=True)
class Memory:
    """Everything that the law remembers between ticks, by SLO name."""

    price: dict[str, float] = field(default_factory=dict)
    x: dict[str, float] = field(default_factory=dict)
    n: dict[str, float] = field(default_factory=dict)
    cap: dict[str, float] = field(default_factory=dict)
    plant: dict[str, float] = field(default_factory=dict)
    resolved_wall_s: float | None = None
    cold: dict[str, float] = field(default_factory=dict)
    """Requests still to be seen before the integrator takes over, by cost SLO."""
    suspect: list[str] = field(default_factory=list)
    infeasible: list[str] = field(default_factory=list)


class ShadowPriceLaw:
    """The default law."""

    kind: ClassVar[str] = "shadow_price"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `pricing.law` of kind shadow_price: one gain set for all traffic, nothing to tune."""

    def __init__(self, options: Options) -> None:
        self.memory = Memory()

    def start(self, tick: Tick) -> None:
        """Solve the cost prices on the cards, so that the first request already meets the budget."""
        m = self.memory
        if m.resolved_wall_s is None:
            m.resolved_wall_s = tick.wall_s
        for j in tick.judgements:
            name, is_cost = j.slo.spec.name, j.slo.spec.kind == "cost"
            if name in m.price and (name in m.plant) == is_cost:  # Else an edit gave the name to another kind.
                continue
            m.price[name] = m.x[name] = m.n[name] = 0.0
            m.plant.pop(name, None)
            m.cold.pop(name, None)
            if is_cost:
                m.cold[name] = COLD_REQUESTS if j.slo.spec.options.forecast_requests is None else 0.0
                self._set_out(tick, j)
            else:
                m.cap[name] = CAP_RATIO

    def step(self, tick: Tick) -> Ruling:
        """Move every price by its error."""
        self.start(tick)  # SLOs that a config edit added.
        m, known = self.memory, {j.slo.spec.name for j in tick.judgements}
        for j in tick.judgements:
            keep, name = exp(-tick.dt_s / self._window_s(j, tick.rate)), j.slo.spec.name
            m.x[name], m.n[name] = m.x[name] * keep + j.fresh_bad, m.n[name] * keep + j.fresh_valid
        if tick.fresh_requests:
            if tick.wall_s - (m.resolved_wall_s or 0.0) >= RESOLVE_S:
                self._resolve(tick)
            self._move(tick, min(tick.dt_s, DT_MAX_S))
        return Ruling({n: p for n, p in m.price.items() if n in known}, infeasible=tuple(n for n in m.infeasible if n in known))

    def remember(self) -> Mapping[str, Any]:
        """Return the memory as plain data."""
        m = self.memory
        return {name: getattr(m, name) for name in Memory.__dataclass_fields__}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from another writer's memory."""
        self.memory = Memory(**{name: memory[name] for name in Memory.__dataclass_fields__ if name in memory})

    def _move(self, tick: Tick, dt_s: float) -> None:
        m = self.memory
        pulls = {j.slo.spec.name: self._pull(tick, j) for j in tick.judgements}
        hot: list[str] = []
        for j in tick.judgements:
            name, kind = j.slo.spec.name, j.slo.spec.kind
            fair = m.n[name] * j.allowance
            error = (m.x[name] - fair) / max(fair, 1e-12 if kind == "cost" else EVIDENCE)
            error = min(max(error, -1.0), 1.0)
            dead_s = tick.telemetry_delay_s + COMPLETION_S + self._window_s(j, tick.rate) / 2
            speed = GAIN / m.plant[name] if kind == "cost" else SPEED.get(kind, 0.5)
            is_held = error > 0 and any(pulls[name] * pulls[h] < 0 and abs(pulls[h]) > REACH for h in hot)
            moved = m.price[name] + (0.0 if is_held else speed / dead_s * dt_s * error)
            m.price[name] = min(max(moved, 0.0), m.cap[name])
            if m.cold.get(name, 0.0) > 0:
                m.cold[name] -= j.fresh_valid
                self._set_out(tick, j)
            if kind == "cost" and j.is_exhausted and j.slo.spec.on_exhausted == "cheapest":
                m.price[name] = m.cap[name]
            if m.x[name] > HOT * fair:
                hot.append(name)

    def _set_out(self, tick: Tick, cost: Judgement) -> None:
        """Solve a cost price on the cards, with its cap and plant gain."""
        m, name = self.memory, cost.slo.spec.name
        m.price[name] = self._solve(tick, cost)
        m.cap[name] = CAP_COST * max(m.price[name], LEAST_LAMBDA)
        m.plant[name] = self._plant_gain(tick, cost)

    def _window_s(self, j: Judgement, rate: float) -> float:
        """Averaging time: long enough for the evidence that the budget needs at the present rate."""
        rate = max(rate, 1e-6)
        if j.slo.spec.kind == "cost":
            return max(COST_S, min(COST_REQUESTS / rate, j.length_s / COST_PART))
        return max(WINDOW_S.get(j.slo.spec.kind, 300.0), EVIDENCE / j.slo.bad_ratio / rate)

    def _pull(self, tick: Tick, j: Judgement) -> float:
        """Return how much more of this budget the first model takes than the last, in allowances per request."""
        total = 0.0
        for card in tick.cards:
            success, late = _health(card, tick.health)
            risk = card.risks(j.slo.spec.kind, success, late, tick.factors)
            total += card.weight * float((risk[:, 0] - risk[:, -1]).mean())
        return total / j.allowance

    def _per_unit(self, tick: Tick, instead: Mapping[str, float]) -> list[tuple[str, float]]:
        prices = [(j, instead.get(j.slo.spec.name, self.memory.price.get(j.slo.spec.name, 0.0))) for j in tick.judgements]
        return [(j.slo.spec.kind, p / j.allowance if j.slo.spec.kind == "cost" else p) for j, p in prices]

    def _solve(self, tick: Tick, cost: Judgement, instead: Mapping[str, float] | None = None) -> float:
        """Return the cost price at which the cards' requests cost the allowance, by bisection."""
        low, high, name, others = 0.0, 64.0, cost.slo.spec.name, {**_alone(tick, cost), **(instead or {})}
        for _ in range(30):
            middle = (low + high) / 2
            is_dear = mean_usd(tick.cards, self._per_unit(tick, {**others, name: middle}), tick.factors) > cost.allowance
            low, high = (middle, high) if is_dear else (low, middle)
        return high

    def _plant_gain(self, tick: Tick, cost: Judgement) -> float:
        """Return -d burn / d lambda, secant over +-20 %."""
        name, others = cost.slo.spec.name, _alone(tick, cost)
        at = max(self.memory.price[name], LEAST_LAMBDA)
        dear, cheap = (mean_usd(tick.cards, self._per_unit(tick, {**others, name: f * at}), tick.factors) for f in (0.8, 1.2))
        return max((dear - cheap) / (0.4 * at * cost.allowance), LEAST_GAIN)

    def _resolve(self, tick: Tick) -> None:
        """Refresh plant gains; name what cannot be met when said twice in a row."""
        m, now = self.memory, [j.slo.spec.name for j in tick.judgements if j.is_short]
        m.resolved_wall_s = tick.wall_s
        costs = [j for j in tick.judgements if j.slo.spec.kind == "cost"]
        for j in costs:
            m.plant[j.slo.spec.name] = self._plant_gain(tick, j)
        for j in tick.judgements:
            if j.slo.spec.kind == "quality" and costs and self._is_lost(tick, j, costs[0]):
                now.append(j.slo.spec.name)
        m.infeasible, m.suspect = [name for name in now if name in m.suspect], now

    def _is_lost(self, tick: Tick, quality: Judgement, cost: Judgement) -> bool:
        """Return whether even the card's best quality at this allowance misses the objective."""
        instead = {**_alone(tick, cost), quality.slo.spec.name: CAP_RATIO}
        instead[cost.slo.spec.name] = self._solve(tick, cost, instead)
        best = _mean_bad(tick.cards, self._per_unit(tick, instead), tick.factors)
        end = quality.bad + best * quality.to_come
        return end > SURE * quality.slo.bad_ratio * (quality.valid + quality.to_come)


def _alone(tick: Tick, cost: Judgement) -> dict[str, float]:
    """Return the other cost budgets without a price: of several, requests pay only the highest (`terms.py`)."""
    return {j.slo.spec.name: 0.0 for j in tick.judgements if j.slo.spec.kind == "cost" and j is not cost}


def _health(card: Card, health: Mapping[str, tuple[float, float]]) -> tuple[Array, Array]:
    known = [health.get(m, (0.999, 0.001)) for m in card.models]
    return np.array([k[0] for k in known]), np.array([k[1] for k in known])


def _mean_bad(cards: Sequence[Card], per_unit: Sequence[tuple[str, float]], factors: Mapping[str, float]) -> float:
    """Return the mean predicted share of bad answers under prices, healthy backends and no soft edge."""
    total = weight = 0.0
    for card in cards:
        m = len(card.models)
        chosen = card.choose(per_unit, np.full(m, 0.999), np.full(m, 0.001), factors, np.full(card.value.size, 0.5))
        total += card.weight * float((1 - card.quality)[np.arange(chosen.size), chosen].mean())
        weight += card.weight
    return total / weight
