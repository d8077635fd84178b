"""A goal beside what was measured: the rows of the table that a reader looks at first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One figure that had a goal."""

    row: int
    """Number of the goal; docs/routers.md lists them."""
    what: str
    must: str
    aim: str
    measured: str
    holds: bool | None
    """Whether the must is reached; None where a figure is reported without one."""
    reaches_aim: bool | None = None


def at_least(row: int, what: str, value: float, must: float, aim: float | None, digits: int = 3, shown: str | None = None) -> Check:
    """Return the check of a figure that should be high; `shown` replaces the number in the text."""
    goal, reached = ("-", None) if aim is None else (f">= {aim:g}", value >= aim)
    return Check(row, what, f">= {must:.4g}", goal, shown or f"{value:.{digits}f}", value >= must, reached)


def at_most(row: int, what: str, value: float, must: float, aim: float | None, digits: int = 3, shown: str | None = None) -> Check:
    """Return the check of a figure that should be low."""
    goal, reached = ("-", None) if aim is None else (f"<= {aim:g}", value <= aim)
    return Check(row, what, f"<= {must:.4g}", goal, shown or f"{value:.{digits}f}", value <= must, reached)


def figure(row: int, what: str, measured: str) -> Check:
    """Return a figure that is reported without a goal."""
    return Check(row, what, "report", "-", measured, None)


def verdict(check: Check) -> str:
    """Return one word, or two, for people."""
    if check.holds is None:
        return "reported"
    if not check.holds:
        return "MISSED"
    return "holds, and the aim" if check.reaches_aim else "holds"
