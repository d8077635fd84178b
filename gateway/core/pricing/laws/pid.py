"""`pid`: the same prices as `shadow_price`, each moved by a PID controller; an honest rival.

Theory. Prices, class values, costs, allowances, windows, caps and the start from the cards are those of `shadow_price`, so what
differs is the controller alone:

    price = start + Kc (e + (1/T_i) integral of e dt + T_d de/dt)

with e the pace of `pace.py`. The plant is a gain k (secant on the cards), a first-order lag W (the averaging window) and a dead time theta
(telemetry and completion); gains by Skogestad's rule for that (SIMC, J. Process Control 13, 2003), closed-loop time constant tau_c:

    Kc = W / (k (tau_c + theta))       T_i = min(W, 4 (tau_c + theta))       T_d = theta/3 (Grimholt and Skogestad 2013)

tau_c = `SLOWNESS` dead times of the loop (theta + W/2), where `shadow_price`'s integrator has 10. Ratio budgets, whose plant gain
no card knows, are taken to have k = 0.2, which gives the integrator's speed. Anti-windup: the integral stands still while the
price is at a bound and the error pushes on; a suspended process does not jump (dt is capped), and without settled requests
nothing moves.

Deliberately not here: priority (prices of budgets that conflict just add up), infeasibility beyond a budget below the cheapest model,
quality by predictions, and spells. Shown by `tests/unit/.../test_pid.py`; compared by `make judge`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import Any, ClassVar

from gateway.core.budget.ledger import Judgement
from gateway.core.pricing.law import Ruling, Tick
from gateway.core.pricing.pace import COMPLETION_S, error, told, window_s
from gateway.core.pricing.solver import LEAST_PRICE, Solver

SLOWNESS = 20.0
CAP_COST, CAP_RATIO = 4.0, 5.0
RATIO_GAIN = 0.2
RESOLVE_S, DT_MAX_S = 900.0, 15.0


@dataclass(slots=True)
class Memory:
    """Everything that the law remembers between ticks, by SLO name."""

    price: dict[str, float] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)
    sum: dict[str, float] = field(default_factory=dict)
    """Integral of the error in seconds, already times Kc / T_i: it keeps its worth when gains change."""
    error: dict[str, float] = field(default_factory=dict)
    x: dict[str, float] = field(default_factory=dict)
    n: dict[str, float] = field(default_factory=dict)
    cap: dict[str, float] = field(default_factory=dict)
    plant: dict[str, float] = field(default_factory=dict)
    budget: dict[str, float] = field(default_factory=dict)
    resolved_wall_s: float = 0.0


class PidLaw:
    """A PID controller per budget."""

    kind: ClassVar[str] = "pid"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `pricing.law` of kind pid: gains follow from the plant, nothing to tune."""

    def __init__(self, options: Options) -> None:
        self.memory = Memory()

    def start(self, tick: Tick) -> None:
        """Solve the cost prices on the cards, anew for a budget that was edited."""
        m = self.memory
        for j in tick.judgements:
            name, kind = j.slo.spec.name, j.slo.spec.kind
            usd = float(j.slo.spec.options.usd) if kind == "cost" else 0.0
            if name in m.price and m.budget[name] == usd:
                continue
            m.x[name] = m.n[name] = m.sum[name] = m.error[name] = m.price[name] = 0.0
            m.budget[name], m.cap[name], m.plant[name] = usd, CAP_RATIO, RATIO_GAIN
            if kind == "cost":
                m.price[name] = Solver(tick, m.price).cost(j)
                m.cap[name] = CAP_COST * max(m.price[name], LEAST_PRICE)
                m.plant[name] = Solver(tick, m.price).gain(j)
            m.start[name] = m.price[name]

    def step(self, tick: Tick) -> Ruling:
        """Move every price by its error, the error's sum and its change."""
        self.start(tick)
        m = self.memory
        for j in tick.judgements:
            name, w_s = j.slo.spec.name, window_s(j, tick.rate)
            keep, part = exp(-tick.dt_s / w_s), told(tick.dt_s, w_s)
            m.x[name], m.n[name] = m.x[name] * keep + part * j.fresh_bad, m.n[name] * keep + part * j.fresh_valid
        if tick.fresh_requests:
            if tick.wall_s - m.resolved_wall_s >= RESOLVE_S:
                m.resolved_wall_s = tick.wall_s
                m.plant |= {j.slo.spec.name: Solver(tick, m.price).gain(j) for j in tick.judgements if j.slo.spec.kind == "cost"}
            for j in tick.judgements:
                self._move(tick, j, min(tick.dt_s, DT_MAX_S))
        names = [j.slo.spec.name for j in tick.judgements]
        return Ruling({n: m.price[n] for n in names}, infeasible=tuple(j.slo.spec.name for j in tick.judgements if j.is_short))

    def remember(self) -> Mapping[str, Any]:
        """Return the memory as plain data."""
        return {name: getattr(self.memory, name) for name in Memory.__dataclass_fields__}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from another writer's memory."""
        self.memory = Memory(**{name: memory[name] for name in Memory.__dataclass_fields__ if name in memory})

    def _move(self, tick: Tick, j: Judgement, dt_s: float) -> None:
        m, name = self.memory, j.slo.spec.name
        e, lag_s, dead_s = error(m.x[name], m.n[name], j), window_s(j, tick.rate), tick.telemetry_delay_s + COMPLETION_S
        slow_s = SLOWNESS * (dead_s + lag_s / 2) + dead_s
        gain = lag_s / (m.plant[name] * slow_s)
        change = dead_s / 3 * (e - m.error[name]) / dt_s if dt_s > 0 else 0.0
        m.error[name] = e
        wanted = m.start[name] + m.sum[name] + gain * (e + change)
        if (wanted < m.cap[name] or e < 0) and (wanted > 0 or e > 0):
            grown = m.sum[name] + gain * e * dt_s / min(lag_s, 4 * slow_s)
            wanted += grown - m.sum[name]
            m.sum[name] = grown
        m.price[name] = min(max(wanted, 0.0), m.cap[name])
        if j.is_exhausted and j.slo.spec.kind == "cost" and j.slo.spec.on_exhausted == "cheapest":
            m.price[name] = m.cap[name]
