"""Budgets as operators write them: an indicator, an objective or dollars, and a stretch of time.

The docstrings are the reference text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from gateway.config.errors import Problem, meant
from gateway.config.names import name_problems
from gateway.config.plugins import SLI_KINDS, Chosen
from gateway.config.quantities import read_duration
from gateway.config.references import quoted
from gateway.domain.units import Ratio, Seconds

CALENDAR = {"calendar-hour": 3600.0, "calendar-day": 86_400.0, "calendar-week": 604_800.0, "calendar-month": 28 * 86_400.0}
"""Calendar periods and their shortest length in seconds, daylight saving time aside."""
WINDOW_S_MAX = 31 * 86_400.0
"""The store keeps 745 slots of an hour: 31 days and the hour that is filling."""


@dataclass(frozen=True, slots=True)
class ScopeSection:
    """Which requests an SLO is about."""

    route: str
    """Only requests of this route."""


@dataclass(frozen=True, slots=True)
class SloSection:
    """A budget: an indicator, how much of it must be good (or how many dollars there are), and over which time."""

    name: str
    """Name in prices, metrics and `priority`. Name and `sli` are its identity: changing them starts it as "no data"."""
    sli: Annotated[Chosen, SLI_KINDS]
    """The indicator: `kind`, and that kind's own keys."""
    objective: Ratio | None = None
    """Share of good events, between 0 and 1 (0.999: one in a thousand may be bad); not for cost."""
    window: Seconds | None = None
    """Rolling window, at most 31d; write either this or `period`."""
    period: str | None = None
    """The budget starts anew at each boundary: calendar-hour, calendar-day, calendar-week, calendar-month, or a duration."""
    anchor: str | None = None
    """For a period that is a duration: some boundary, for example `2026-01-01T00:00:00Z`; none: the Unix epoch."""
    timezone: str | None = None
    """For a calendar period: name of the time zone; none: UTC."""
    for_: ScopeSection | None = None
    """Only some requests; none: all of them."""
    on_exhausted: Literal["cheapest", "alert"] | None = None
    """For cost, once the period's dollars are spent: send everything to the cheapest model (none: this), or only say so."""

    @property
    def length_s(self) -> float | None:
        """Length of the window, or the shortest one of the period; None while neither can be read."""
        if self.window is not None or self.period is None:
            return self.window
        try:
            return CALENDAR.get(self.period) or read_duration(self.period)
        except ValueError:
            return None

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        yield from name_problems(self.name)
        if self.sli.kind == "cost":
            if self.objective is not None:
                yield Problem(("objective",), "a cost SLO has no objective; its budget is sli.usd")
        elif self.objective is None:
            yield Problem(("objective",), f"missing; an SLO of kind {self.sli.kind} needs a share of good events, for example 0.99")
        elif self.objective in {0, 1}:
            yield Problem(
                ("objective",),
                f"{self.objective:g} leaves {'no budget' if self.objective else 'nothing to keep'}; write a number between 0 and 1",
            )
        if self.on_exhausted is not None and self.sli.kind != "cost":
            yield Problem(("on_exhausted",), "only a cost SLO can be exhausted")
        for path, message in getattr(self.sli.options, "wrong", tuple)():
            yield Problem(("sli", *path), message)
        yield from self._time_problems()

    def _time_problems(self) -> Iterator[Problem]:
        is_calendar = self.period in CALENDAR
        if (self.window is None) == (self.period is None):
            yield Problem(
                ("window",) if self.window else (),
                "write either `window` (rolling, for example 28d) or `period` (for example calendar-month)",
            )
        elif self.period is not None and not is_calendar:
            try:
                read_duration(self.period)
            except ValueError:
                what = meant(self.period, CALENDAR, "periods")
                yield Problem(("period",), f"{quoted(self.period)} is neither a calendar period nor a duration; {what}")
        if (self.length_s or 0) > WINDOW_S_MAX:
            yield Problem(("window",) if self.window else ("period",), "longer than 31d, for which counts are kept")
        if self.anchor is not None:
            if is_calendar or self.period is None:
                yield Problem(("anchor",), "only for a period that is a duration")
            elif parse_time(self.anchor) is None:
                yield Problem(("anchor",), f"{quoted(self.anchor)} is not a time; write for example 2026-01-01T00:00:00Z")
        if self.timezone is not None:
            if not is_calendar:
                yield Problem(("timezone",), "only for a calendar period")
            elif not _is_zone(self.timezone):
                yield Problem(("timezone",), f"{quoted(self.timezone)} is not a known time zone; write for example UTC or Europe/Berlin")


def parse_time(text: str) -> float | None:
    """Return Unix seconds of an ISO 8601 time with zone; None when it is not one."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.timestamp() if time.tzinfo is not None else None


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # A bad form, a folder of zones, an unknown zone.
        return False
    return True
