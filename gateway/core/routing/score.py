"""S_m, the one score of a candidate.

    S_m = (v/v̄) q_m a_m - Σ_d price_d r_{d,m}

The first part is the value at stake; each priced budget charges what the candidate would take of it. A new dimension
is a new SLI with its own `risk`; nothing is added here. Source: DESIGN section 2.
"""

from collections.abc import Sequence

from gateway.core.budget.slis.registry import SLIS
from gateway.domain.expectation import Expectation

RISKS = {kind: sli.risk for kind, sli in SLIS.items()}


def score(e: Expectation, value: float, per_unit: Sequence[tuple[str, float]]) -> float:
    """Return S_m of one candidate; `value` is the class value over the mean, v/v̄."""
    total = value * e.quality * e.success
    for kind, price in per_unit:
        total -= price * RISKS[kind](e)
    return total


def compare(a: Expectation, b: Expectation, value: float, per_unit: Sequence[tuple[str, float]]) -> tuple[float, float, float, float]:
    """Return both scores and what `priced_difference` returns, each risk asked for once: the hot path of two candidates."""
    first, second, total, magnitude = value * a.quality * a.success, value * b.quality * b.success, 0.0, 0.0
    for kind, price in per_unit:
        risk = RISKS[kind]
        mine, other = risk(a), risk(b)
        first -= price * mine
        second -= price * other
        term = price * (mine - other)
        total += term
        magnitude += term if term >= 0.0 else -term
    return first, second, total, magnitude


def priced_difference(a: Expectation, b: Expectation, per_unit: Sequence[tuple[str, float]]) -> tuple[float, float]:
    """Return Σ price (r_a - r_b) and the sum of its terms' magnitudes, which sets the width of the soft edge."""
    total = magnitude = 0.0
    for kind, price in per_unit:
        risk = RISKS[kind]
        term = price * (risk(a) - risk(b))
        total += term
        magnitude += abs(term)
    return total, magnitude
