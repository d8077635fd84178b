"""Lay two results side by side: what the sockets said against what virtual time said."""

from collections.abc import Mapping
from typing import Any

from load.result import Result

COMPARED = (
    ("spend / budget", "spend_over_budget"),
    ("strong share", "strong_share"),
    ("availability", "availability"),
    ("failed share", "failed_share"),
)
"""Ratios, compared in points (hundredths)."""


def differences(first: Result, second: Result) -> dict[str, float | None]:
    """Return first minus second for each compared ratio, in points; None where either has no data."""
    a, b = first.figures(), second.figures()
    return {key: None if a[key] is None or b[key] is None else 100 * (a[key] - b[key]) for _, key in COMPARED}


def is_within(first: Result, second: Result, points: float) -> bool:
    """Say whether spend, strong share and availability lie within so many points; no data lies nowhere."""
    gaps = differences(first, second)
    return all((gap := gaps[key]) is not None and abs(gap) <= points for key in ("spend_over_budget", "strong_share", "availability"))


def table(first: Result, second: Result) -> str:
    """Return the comparison as lines of text."""
    a, b = first.figures(), second.figures()
    gaps = differences(first, second)
    lines = [f"{first.scenario}: {label(first)} against {label(second)}", f"{'':24}{label(first):>18}{label(second):>18}{'difference':>14}"]
    for name, key in COMPARED:
        gap = gaps[key]
        lines.append(f"{name:24}{_ratio(a[key]):>18}{_ratio(b[key]):>18}{'-' if gap is None else f'{gap:+.2f} points':>14}")
    for klass in sorted(set(a["strong_share_by_class"]) | set(b["strong_share_by_class"])):
        of_a, of_b = a["strong_share_by_class"].get(klass), b["strong_share_by_class"].get(klass)
        gap = None if of_a is None or of_b is None else 100 * (of_a - of_b)
        lines.append(f"{'  ' + klass:24}{_ratio(of_a):>18}{_ratio(of_b):>18}{'-' if gap is None else f'{gap:+.2f} points':>14}")
    for part in ("p50", "p90", "p99"):
        of_a, of_b = _ttft(a, part), _ttft(b, part)
        gap_s = None if of_a is None or of_b is None else of_a - of_b
        shown = [f"{'-' if x is None else f'{x * 1000:.0f} ms':>18}" for x in (of_a, of_b)]
        lines.append(f"{'TTFT ' + part:24}{''.join(shown)}{'-' if gap_s is None else f'{gap_s * 1000:+.0f} ms':>14}")
    lines.append(f"{'requests':24}{a['requests']:>18}{b['requests']:>18}{a['requests'] - b['requests']:>+14}")
    return "\n".join(lines)


def label(result: Result) -> str:
    """Return a short name for one result."""
    return f"{result.kind} {result.law}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _ttft(figures: Mapping[str, Any], part: str) -> float | None:
    found: Mapping[str, float] | None = figures["ttft_s"]
    return None if found is None else found[part]
