"""Our own scenarios on virtual time, with the shipped configuration: each is a YAML in `load/scenarios`, its bound is written here.

The same files can be played by hand: `python -m load sim load/scenarios/NAME.yaml`. Together about four minutes on one core.
"""

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from load.plan import prepare
from load.result import Result, Sample
from load.scenario import Scenario
from load.simulate import simulate

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
FOLDER = Path("load/scenarios")


@cache
def played(name: str) -> Result:
    return simulate(prepare(Scenario.load(FOLDER / f"{name}.yaml"), None))


def spend(name: str) -> float:
    return float(played(name).figures()["spend_over_budget"])


def alpha(sample: Sample) -> float:
    assert sample.alpha_ref is not None
    return sample.alpha_ref


def at(result: Result, t_s: float) -> float:
    """Return the threshold at a time."""
    return alpha(next(s for s in result.samples if s.t_s >= t_s))


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("reference-day", 0.99, 1.005),
        ("price-shock", 0.99, 1.005),
        ("budget-raised", 0.985, 1.005),
        ("budget-lowered", 0.985, 1.005),
        ("twice-the-forecast", 0.985, 1.005),
        ("half-the-forecast", 0.985, 1.005),
        ("store-away", 0.99, 1.01),
        ("blind", 0.98, 1.02),
    ],
)
def test_the_budget_is_spent_and_not_more(name: str, least: float, most: float) -> None:
    assert least <= spend(name) <= most


@pytest.mark.parametrize("name", ["reference-day", "price-shock", "budget-raised", "store-away", "too-small"])
def test_nothing_is_refused_for_money(name: str) -> None:
    assert not any(reason.startswith(("shed", "limit")) for reason in played(name).figures()["reasons"])


def test_three_nines_are_held_through_the_reference_days_outage_since_a_failed_attempt_falls_back() -> None:
    result = played("reference-day")
    during = [r for r in result.rows if 46_800 <= r.at_s < 48_000]
    assert result.figures()["availability"] >= 0.999 and sum(r.reason == "served" for r in during) / len(during) >= 0.999
    assert sum(r.attempts > 1 for r in during) > 10


def test_after_the_outage_strong_is_back_within_two_minutes() -> None:
    rows = played("reference-day").rows
    before = [r.model == "strong" for r in rows if 45_600 <= r.at_s < 46_800]
    after = [r.model == "strong" for r in rows if 48_120 <= r.at_s < 48_720]
    assert sum(after) / len(after) >= 0.8 * sum(before) / len(before)


def test_the_threshold_is_calm_through_a_day_of_faults() -> None:
    samples = played("reference-day").samples[12:]  # After the first minute, in which recent traffic replaces the artifact's card.
    assert sum(abs(alpha(b) - alpha(a)) for a, b in pairwise(samples)) / 24 <= 0.5


def test_a_price_six_times_as_high_and_back_leaves_nothing_behind() -> None:
    result = played("price-shock")
    before, after = at(result, 14_000), at(result, 25_200 + 600)
    assert abs(after - before) <= 0.1
    strong = [[r.model == "strong" for r in result.rows if t <= r.at_s < t + 1800] for t in (12_600, 25_800)]
    assert sum(strong[1]) / len(strong[1]) >= 0.8 * sum(strong[0]) / len(strong[0])


def test_an_edited_budget_is_acted_on_at_once() -> None:
    for name, is_more in (("budget-raised", True), ("budget-lowered", False)):
        rows = played(name).rows
        before, after = ([r.model == "strong" for r in rows if t <= r.at_s < t + 1200] for t in (13_200, 14_460))
        shares = sum(before) / len(before), sum(after) / len(after)
        assert (shares[1] > 1.2 * shares[0]) if is_more else (shares[1] < 0.8 * shares[0])


def test_what_cannot_be_paid_for_is_said_within_ten_minutes_and_served_by_the_cheapest() -> None:
    result = played("too-small")
    named = [s.t_s for s in result.samples if s.infeasible == ["spend"]]
    assert named[0] <= 600 and len(named) >= 0.95 * len(result.samples)
    figures = result.figures()
    assert figures["strong_share"] <= 0.002 and figures["availability"] == 1.0
