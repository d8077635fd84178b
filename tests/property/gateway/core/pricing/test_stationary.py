"""Where an integrator on the pace of a budget comes to rest: at a burn of 1, at every objective and traffic."""

import numpy as np
import pytest

from gateway.core.budget.ledger import Judgement
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec
from gateway.core.pricing.pace import EVIDENCE, window_s

OBJECTIVES, RATES = (0.9, 0.99, 0.999, 0.9999), (0.2, 1.0, 5.0, 20.0, 80.0)
EVENTS_MAX = 3_000_000
"""Drawn per case, for speed."""


def judged(objective: float) -> Judgement:
    slo = Slo.of(SloSpec("availability", "availability", Availability.Options(), objective, period=Period("day")))
    b = slo.bad_ratio
    return Judgement(slo, 0.0, 0.0, 0.0, 0.0, b, b, 0.9, 9e4, 1e4, 0.1, DAY_S, is_exhausted=False, is_short=False)


def decayed_sums(due: float, rng: np.random.Generator, runs: int, burns: np.ndarray) -> np.ndarray:
    """Return decayed sums of bad events, shape (burns, runs), of a Poisson process with `due` of them per window at a burn of 1.

    One process at the highest burn, thinned for the others, so that burns are compared on the same events.
    """
    span, most = 8.0, float(burns.max())
    counts = rng.poisson(span * due * most, runs)
    owner = np.repeat(np.arange(runs), counts)
    weight, mark = np.exp(-span * rng.random(owner.size)), rng.random(owner.size) * most
    return np.stack([np.bincount(owner, np.where(mark < burn, weight, 0.0), runs) for burn in burns])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("rate", RATES)
def test_the_error_is_zero_in_the_mean_at_a_burn_of_one(objective: float, rate: float) -> None:
    j = judged(objective)
    n = rate * window_s(j, rate)
    due = n * j.allowance
    runs = int(np.clip(EVENTS_MAX / (16 * due), 200, 20_000))
    burns = np.linspace(0.9, 1.1, 9)
    sums = decayed_sums(due, np.random.Generator(np.random.PCG64(11)), runs, burns)
    means = np.clip((sums - due) / max(due, EVIDENCE), -1, 1).mean(axis=1)  # `pace.error`, for whole arrays.
    assert np.all(np.diff(means) > 0)
    assert float(np.interp(0.0, means, burns)) == pytest.approx(1.0, abs=0.05)
