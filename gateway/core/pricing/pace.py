"""Pace: how far a budget is off its allowance lately, in counts, over a window long enough to know.

    x, n   sums decayed with W:   W_cost = max(60 s, 600 requests, but at most 1/8 of the period)
                                  W_d    = max(300 s [quality by verdicts: 1800 s], 5/b requests)
    e_cost = clip((x - n rho)/(n rho), -1, 1)          e_d = clip((x - n A)/max(n A, 5), -1, 1)

What was held back and is told at once counts as one window at most (`told`): four hours of it would outweigh for twenty minutes what
happens under the prices of now, while the allowance already has the money that is gone.

In counts, since log-burn and burn - 1 are biased at low traffic: an integrator on them settles at a burn of 11.6 instead of 1 with
0.2 requests/s and an objective of 0.999 (exact Poisson); this one at 1.00. Source and measurements: `judge/README.md`.
"""

from gateway.core.budget.ledger import Judgement

WINDOW_S, VERDICTS_S = 300.0, 1800.0
COST_REQUESTS, COST_S, EVIDENCE = 600.0, 60.0, 5.0
COST_PART = 8.0
"""The cost window is at most this part of the period, or a short period at low traffic would end before its first window."""
COMPLETION_S = 10.0
"""Mean time from decision to settled cost that a gain allows for."""


def window_s(j: Judgement, rate: float, is_predicted: bool = False) -> float:
    """Return the averaging time of a budget at `rate` requests per second; `is_predicted`: every answer tells, not only verdicts."""
    rate, kind = max(rate, 1e-6), j.slo.spec.kind
    if kind == "cost" or is_predicted:
        return max(COST_S, min(COST_REQUESTS / rate, j.length_s / COST_PART))
    return max(VERDICTS_S if kind == "quality" else WINDOW_S, EVIDENCE / j.slo.bad_ratio / rate)


def told(span_s: float, window_s: float) -> float:
    """Return the part of what is told at once that counts, when it tells of `span_s` seconds: a window's worth at most."""
    return min(1.0, window_s / span_s) if span_s > 0 else 1.0


def error(x: float, n: float, j: Judgement) -> float:
    """Return how far `x` (dollars or bad events) of `n` requests is off the allowance, -1..1; above 0: too much."""
    fair = n * j.allowance
    off = (x - fair) / max(fair, 1e-12 if j.slo.spec.kind == "cost" else EVIDENCE)
    return min(max(off, -1.0), 1.0)
