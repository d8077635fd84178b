"""How far off an allowance, over which window."""

import pytest
from msgspec import structs

from gateway.core.budget.ledger import Judgement
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec
from gateway.core.pricing.pace import error, told, window_s

DAY = Period("day")
SPEND = Slo.of(SloSpec("spend", "cost", Cost.Options(100.0, 1e5), period=DAY))
FLEET = Slo.of(SloSpec("availability", "availability", Availability.Options(), 0.99, period=DAY))
GOOD = Slo.of(SloSpec("quality", "quality", Quality.Options(), 0.8, period=DAY))


def judged(slo: Slo, allowance: float) -> Judgement:
    return Judgement(
        slo, 0.0, 0.0, 0.0, 0.0, allowance, allowance, 0.9, 9e4, 1e4, 0.1, DAY_S, is_exhausted=False, is_short=False, length_s=DAY_S
    )


def test_dollars_are_watched_over_six_hundred_requests_at_least_a_minute_at_most_an_eighth_of_the_period() -> None:
    j = judged(SPEND, 0.001)
    assert [window_s(j, rate) for rate in (100.0, 2.0, 0.001)] == [60.0, 300.0, DAY_S / 8]
    assert window_s(structs.replace(j, length_s=3600.0), 0.001) == 450.0


def test_bad_events_are_watched_until_five_are_due() -> None:
    assert [window_s(judged(FLEET, 0.01), rate) for rate in (100.0, 1.0)] == [300.0, pytest.approx(500.0)]
    assert window_s(judged(GOOD, 0.2), 100.0) == 1800.0 and window_s(judged(GOOD, 0.2), 100.0, is_predicted=True) == 60.0


def test_errors_are_in_shares_of_what_was_due_between_minus_one_and_one() -> None:
    j = judged(SPEND, 0.001)
    assert [error(x, 100.0, j) for x in (0.0, 0.05, 0.1, 0.15, 9.0)] == pytest.approx([-1.0, -0.5, 0.0, 0.5, 1.0])
    assert error(0.0, 0.0, j) == 0.0


def test_bad_events_are_measured_against_at_least_five() -> None:
    j = judged(FLEET, 0.01)
    assert error(1.0, 10.0, j) == pytest.approx(0.9 / 5) and error(20.0, 1000.0, j) == pytest.approx(1.0)
    assert error(0.0, 1e-9, j) == pytest.approx(0.0, abs=1e-9)


def test_what_was_held_back_counts_as_one_window_at_most() -> None:
    assert [told(span_s, 300.0) for span_s in (0.0, 5.0, 300.0, 600.0, 14_400.0)] == [1.0, 1.0, 1.0, 0.5, pytest.approx(1 / 48)]
