"""Evidence: what few events allow to be said.

Two rules for low traffic. A ratio of a small scope is shrunk towards its parent's, as if `SHRINK_EVENTS` events of the parent
had been seen beside its own: (x + K r) / (n + K). And before anything is done that people notice, the ratio must be above its
limit beyond reasonable doubt: the 5 % lower bound of Jeffreys' interval, the quantile of Beta(x + 1/2, n - x + 1/2). Beside a
plain ratio, whose first failure among 30 requests pages at an objective of 99.9 %, that costs false pages 3 % -> 0.04 %
and detects slower (reference/control_and_budgets.md, section 1). The bound alone would still page on one failure
of one request, so there is a least number of bad events as well.
"""

from math import exp, lgamma, log

SHRINK_EVENTS = 400.0
DOUBT = 0.05
BAD_EVENTS_MIN = 5.0
"""As many as the default law wants before it is fully moved (`pricing/laws/shadow_price.py`)."""
STEPS_MAX = 1000
SMALL = 1e-30
EXACT = 1e-9


def shrunk(bad: float, valid: float, parent_ratio: float) -> float:
    """Return a bad ratio steadied by its parent scope's; the parent's own without events."""
    return (bad + SHRINK_EVENTS * parent_ratio) / (valid + SHRINK_EVENTS)


def exceeds(bad: float, valid: float, ratio: float) -> bool:
    """Return whether the true bad ratio is above `ratio`: certain enough to act on."""
    if bad < BAD_EVENTS_MIN or ratio >= 1.0:
        return False
    return beta_cdf(ratio, bad + 0.5, max(valid - bad, 0.0) + 0.5) < DOUBT


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), 0 < a, b.

    By its continued fraction (Lentz's method), on the side where that converges fast. Source: Numerical Recipes, section 6.4.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1.0 - x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    h = d
    for m in range(1, STEPS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1.0 / _away(1.0 + step * d)
            c = _away(1.0 + step / c)
            h *= d * c
        if abs(d * c - 1.0) < EXACT:
            break
    return h


def _away(x: float) -> float:
    """Keep a number away from 0, by which is divided next."""
    return x if abs(x) > SMALL else SMALL
