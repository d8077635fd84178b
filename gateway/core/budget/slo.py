"""An objective over an indicator, and the stretch of time over which it is kept.

Identity: name + SLI definition. A changed objective keeps its counts, since counting does not depend on it; a changed
definition starts as "no data", since old counts mean something else.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.budget.counts import WIDTHS_S
from gateway.core.budget.sli import Sli
from gateway.core.budget.slis.quality import VERDICTS_MIN
from gateway.core.budget.slis.registry import SLIS
from gateway.domain.event import MILLI, NANO

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar period or one of fixed length; budgets start anew at each boundary."""

    unit: str
    """hour, day, week, month (in `timezone`), or fixed."""
    length_s: float | None = None
    """Only for fixed."""
    anchor_wall_s: float = 0.0
    """Only for fixed: some boundary; counted from the beginning of its slot."""
    timezone: str = "UTC"

    def bounds(self, wall_s: float) -> tuple[float, float]:
        """Return start and end (Unix seconds) of the period that `wall_s` falls in; DST makes days of 23 and 25 hours."""
        if self.unit == "fixed":
            number = (wall_s - self.anchor_wall_s) // (self.length_s or DAY_S)
            while self._begins(number + 1) <= wall_s:
                number += 1
            return self._begins(number), self._begins(number + 1)
        zone = ZoneInfo(self.timezone)
        local = datetime.fromtimestamp(wall_s, UTC).astimezone(zone)
        if self.unit == "hour":  # Whole hours of elapsed time: a local hour can occur twice.
            start = local.replace(minute=0, second=0, microsecond=0).timestamp()
            return start, start + 3600.0
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.unit == "day":
            first, last = midnight, midnight + timedelta(days=1)
        elif self.unit == "week":
            first = midnight - timedelta(days=midnight.weekday())
            last = first + timedelta(days=7)
        else:
            first = midnight.replace(day=1)
            last = (first + timedelta(days=32)).replace(day=1)
        return first.timestamp(), last.timestamp()

    def _begins(self, number: float) -> float:
        """Return where a fixed period begins: with a slot, since what one slot counted cannot be told apart later."""
        start = self.anchor_wall_s + number * (self.length_s or DAY_S)
        return start - start % WIDTHS_S[0]


@dataclass(frozen=True, slots=True)
class SloSpec:
    """What the operator wrote."""

    name: str
    kind: str
    options: Any
    """The SLI kind's own `Options`."""
    objective: float | None = None
    """Share of good events, 0 < objective < 1; None for cost."""
    window_s: float | None = None
    """Rolling window; exactly one of `window_s` and `period` is set."""
    period: Period | None = None
    route: str | None = None
    """Only requests of this route; None is fleet-wide."""
    on_exhausted: str = "cheapest"
    """What an exhausted soft cost budget does: cheapest or alert."""


@dataclass(frozen=True, slots=True)
class Slo:
    """A spec with its SLI built and its counters' names."""

    spec: SloSpec
    sli: Sli
    id: str
    valid_field: str
    bad_field: str
    """Bad events; for cost, nano-dollars."""
    arrived_field: str
    settled_field: str
    """Requests of its scope, good and bad."""
    scored_field: str
    lost_field: str
    """Of quality: requests that a router scored, and what it expected them to lose, in thousandths."""
    valid_scale: int = 1
    """What one event counts in `valid_field`."""
    bad_scale: int = 1
    """What one bad event, or one dollar, counts in `bad_field`."""
    evidence_field: str | None = None
    """For verdicts, which have weights: how many there were."""

    @classmethod
    def of(cls, spec: SloSpec) -> "Slo":
        """Build the indicator and derive the counters' names from the identity.

        Raises: ValueError for what has no meaning. The config edge says so earlier, and where; this is for everybody else.
        """
        _check(spec)
        definition = json.dumps([spec.name, spec.kind, spec.route, _counting(spec)], sort_keys=True, default=str)
        identity = sha256(definition.encode()).hexdigest()[:10]
        valid_field, bad_field = f"s.{identity}.n", f"s.{identity}.x"
        if spec.kind == "cost":  # Dollars are counted whether or not somebody set a budget for them.
            valid_field, bad_field = scoped("n", spec.route), scoped("usd", spec.route)
        of_scope = scoped("req", spec.route), scoped("n", spec.route)
        names = (valid_field, bad_field, *of_scope, f"s.{identity}.p", f"s.{identity}.q")
        sli = SLIS[spec.kind](spec.options)
        if spec.kind == "quality" and spec.options.source == "verdicts":
            return cls(spec, sli, identity, *names, MILLI, MILLI, f"s.{identity}.v")
        return cls(spec, sli, identity, *names, bad_scale=NANO if spec.kind == "cost" else 1)

    @property
    def evidence_min(self) -> float:
        """Events below which nothing is said."""
        return VERDICTS_MIN if self.evidence_field is not None else 1

    @property
    def bad_ratio(self) -> float:
        """1 - objective: the share of events that may be bad."""
        return 1.0 - (self.spec.objective or 0.0)

    def bounds(self, wall_s: float) -> tuple[float, float]:
        """Return where the counting starts and ends: the current period, or the rolling window up to now."""
        if self.spec.period is not None:
            return self.spec.period.bounds(wall_s)
        return wall_s - (self.spec.window_s or 28 * DAY_S), wall_s


def scoped(name: str, route: str | None) -> str:
    """Return the counter of all traffic (`req` arrived, `n` settled, `usd` spent) or of one route's."""
    return name if route is None else f"r.{route}.{name}"


def _counting(spec: SloSpec) -> dict[str, Any]:
    """Return the options that change what is counted: a cost budget's size and forecast do not.

    Options that have their default are left out, so that a new one of a later build leaves the identity of what was written before.
    """
    if spec.kind == "cost":
        return {}
    defaults = {f.name: f.default for f in fields(spec.options)}
    return {name: told for name, told in asdict(spec.options).items() if told != defaults[name]}


def build(specs: Sequence[SloSpec]) -> tuple[Slo, ...]:
    """Build all SLOs, in the operator's order.

    Raises: ValueError for one without meaning, or two of one name, which prices could not tell apart.
    """
    names = [s.name for s in specs]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ValueError(f"two SLOs are called {', '.join(twice)}")
    return tuple(Slo.of(s) for s in specs)


def _check(spec: SloSpec) -> None:
    if spec.kind == "cost":
        if not (isfinite(spec.options.usd) and spec.options.usd > 0):
            raise ValueError(f"SLO {spec.name}: a budget of {spec.options.usd:g} dollars is none")
    elif spec.objective is None or not 0 < spec.objective < 1:
        raise ValueError(f"SLO {spec.name}: the objective must be between 0 and 1, not {spec.objective}")
    if spec.window_s is not None and spec.period is not None:
        raise ValueError(f"SLO {spec.name}: either a rolling window or a period")
    if spec.window_s is not None and not (isfinite(spec.window_s) and spec.window_s > 0):
        raise ValueError(f"SLO {spec.name}: a window of {spec.window_s:g} s has no length")
