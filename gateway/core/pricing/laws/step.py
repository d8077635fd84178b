"""`step`: one threshold, moved in steps by the tiers of multi-window burn rates, as alerting does it.

Theory. The SRE Workbook ("Alerting on SLOs") says when a budget burns too fast: when the burn rate over a long window, and still
over a short one, is above a factor. This law acts on what would page: each budget adds the steps of the worst tier that it is
in, up where the strong model takes more of that budget than the weak one, down where it takes less (a weak model that fails,
quality), and the sum is held for at least 5 min. Ratio budgets use the tiers of `budget/tiers.py` and act only beyond doubt
(`budget/evidence.py`). Dollars have tiers of their own, 1.1, 1.5 and 2 times the even pace over both 5 min and 1 h: between
all weak and all strong lies a factor of about three, so that 14.4 would never be reached.

What it cannot do: it sees neither class values nor what a request costs, does not know what is left of a budget, and returns to
its own threshold as soon as the tiers are off, so that a burning budget is held at the edge of a tier, not at its allowance. For
comparison, and for operators who want to know beforehand which thresholds there are. Shown by `tests/unit/.../test_step.py`;
compared by `make judge`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import Any, ClassVar

from gateway.core.budget.burn import WINDOWS_S
from gateway.core.budget.evidence import exceeds
from gateway.core.budget.ledger import Judgement
from gateway.core.budget.tiers import tiers_within
from gateway.core.pricing.law import Ruling, Tick
from gateway.domain.units import Ratio

COST_TIERS, COST_WINDOWS = (1.1, 1.5, 2.0), ("5m", "1h")
"""Times the even pace; each is one step more."""
STEPS = {"page": 2, "ticket": 1}
HOLD_S = 300.0
"""A step is held at least this long, the shortest window. All three as in the judge's reference law of this kind."""


@dataclass(slots=True)
class Memory:
    """Everything that the law remembers between ticks."""

    sums: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """[bad events or dollars, valid events, share of the window that was seen] by SLO and window."""
    threshold: float | None = None
    until_wall_s: float = 0.0


class StepLaw:
    """A threshold in steps."""

    kind: ClassVar[str] = "step"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `pricing.law` of kind step."""

        threshold: Ratio
        """Win rate from which the strong model is used while nothing burns, 0..1. Raising it saves cost and spends quality."""
        step: Ratio = 0.1
        """How far one step moves the threshold. Raising it acts harder, and hunts more."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.memory = Memory()

    def start(self, tick: Tick) -> None:
        """Nothing to prepare."""

    def step(self, tick: Tick) -> Ruling:
        """Take in what was counted; move the threshold when the tiers say so and the last step is old enough."""
        m, o = self.memory, self._options
        names = {j.slo.spec.name for j in tick.judgements}
        m.sums = {name: sums for name, sums in m.sums.items() if name in names}
        for j in tick.judgements:
            self._take(j, tick.dt_s)
        steps = sum(self._direction(tick, j) * self._steps(j) for j in tick.judgements)
        wanted = min(max(o.threshold + o.step * steps, 0.0), 1.0)
        known = o.threshold if m.threshold is None else m.threshold
        if wanted != known and tick.wall_s >= m.until_wall_s:
            known, m.until_wall_s = wanted, tick.wall_s + HOLD_S
        m.threshold = known
        short = tuple(j.slo.spec.name for j in tick.judgements if j.is_short)
        return Ruling({}, fixed_threshold=known, infeasible=short)

    def remember(self) -> Mapping[str, Any]:
        """Return the memory as plain data."""
        return {name: getattr(self.memory, name) for name in Memory.__dataclass_fields__}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from another writer's memory."""
        self.memory = Memory(**{name: memory[name] for name in Memory.__dataclass_fields__ if name in memory})

    def _take(self, j: Judgement, dt_s: float) -> None:
        windows = self.memory.sums.setdefault(j.slo.spec.name, {})
        for name in _windows(j):
            sums, keep = windows.setdefault(name, [0.0, 0.0, 0.0]), exp(-dt_s / WINDOWS_S[name])
            sums[0], sums[1] = sums[0] * keep + j.fresh_bad, sums[1] * keep + j.fresh_valid
            sums[2] = sums[2] * keep + 1.0 - keep

    def _steps(self, j: Judgement) -> int:
        """Return the steps of the worst tier that a budget is in."""
        sums = self.memory.sums[j.slo.spec.name]
        if j.slo.spec.kind == "cost":
            even = float(j.slo.spec.options.usd) / j.length_s
            burn = min(sums[w][0] / max(sums[w][2] * WINDOWS_S[w] * even, 1e-12) for w in COST_WINDOWS)
            return sum(burn > tier for tier in COST_TIERS)
        worst = 0
        for tier in tiers_within(j.length_s):
            limit = tier.factor(j.length_s) * j.slo.bad_ratio
            (long_x, long_n, _), (short_x, short_n, _) = sums[tier.long], sums[tier.short]
            if short_x > limit * short_n and exceeds(long_x, long_n, limit):
                worst = max(worst, STEPS[tier.severity])
        return worst

    @staticmethod
    def _direction(tick: Tick, j: Judgement) -> int:
        """Return 1 when the first model takes more of a budget than the last, -1 when it takes less, 0 when it makes no difference."""
        pull = sum(c.weight * c.pull(j.slo.spec.kind, tick.health, tick.factors) for c in tick.cards)
        return (pull > 0) - (pull < 0)


def _windows(j: Judgement) -> set[str]:
    if j.slo.spec.kind == "cost":
        return set(COST_WINDOWS)
    return {name for tier in tiers_within(j.length_s) for name in (tier.long, tier.short)}
