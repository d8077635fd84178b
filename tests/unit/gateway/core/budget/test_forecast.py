"""How many requests are still to come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.budget.forecast import Forecast

DAY = 86_400.0
DAILY = Forecast(DAY, requests=24_000.0)
SHAPED = Forecast(DAY, requests=24_000.0, hourly=(2_000.0, 4_000.0, 12_000.0, 6_000.0))


def test_an_even_forecast_is_due_by_the_clock() -> None:
    assert DAILY.due(0) == 0
    assert DAILY.due(DAY / 4) == 6_000
    assert DAILY.due(2 * DAY) == 24_000
    assert DAILY.due(-5) == 0


def test_a_shaped_forecast_is_due_part_by_part() -> None:
    assert SHAPED.due(DAY / 4) == 2_000
    assert SHAPED.due(DAY * 3 / 8) == 4_000
    assert SHAPED.due(DAY / 2) == 6_000
    assert SHAPED.due(DAY) == 24_000


def test_traffic_as_forecast_leaves_what_is_still_due() -> None:
    assert DAILY.left(DAY / 2, arrived=12_000, rate=99.0) == pytest.approx(12_000)
    assert SHAPED.left(DAY / 4, arrived=2_000, rate=99.0) == pytest.approx(22_000)


def test_double_traffic_nearly_doubles_what_is_to_come() -> None:
    # (24,000 + 1,000) / (12,000 + 1,000) * 12,000: a twenty-fourth of the forecast is the prior.
    assert DAILY.left(DAY / 2, arrived=24_000, rate=0.0) == pytest.approx(25 / 13 * 12_000)


def test_the_first_minutes_do_not_decide() -> None:
    at_once = DAILY.left(60.0, arrived=170, rate=3.0)  # Ten times the 16.7 that were due.
    assert 1.10 * 24_000 < at_once < 1.20 * 24_000


def test_at_the_end_a_minute_is_always_still_to_come() -> None:
    assert DAILY.left(DAY, arrived=24_000, rate=0.0) == pytest.approx(24_000 / 1440)
    assert DAILY.left(DAY - 30, arrived=24_000, rate=0.0) > 24_000 * 30 / DAY


def test_a_short_period_holds_no_minute_back_at_its_end() -> None:
    """60 s of a 400 s period would be a seventh of the budget that nobody could spend."""
    assert Forecast(400.0, requests=4_000.0).left(400.0, arrived=4_000, rate=0.0) == pytest.approx(10.0)


def test_without_a_forecast_the_recent_rate_goes_on() -> None:
    unknown = Forecast(DAY)
    assert unknown.left(DAY - 7200, arrived=5, rate=2.0) == 14_400
    assert unknown.left(DAY, arrived=5, rate=2.0) == 120
    assert unknown.left(0, arrived=0, rate=0.0) == 1.0
    assert unknown.due(5.0) == 0.0


def test_the_whole_period_is_the_forecast_or_what_came_and_comes() -> None:
    assert DAILY.total(arrived=30_000, left=9.0) == 24_000
    assert Forecast(DAY).total(arrived=100, left=14_400) == 14_500


@given(st.floats(0, DAY), st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_arrivals_never_mean_that_fewer_are_to_come(elapsed_s: float, a: float, b: float) -> None:
    few, many = sorted((a, b))
    assert SHAPED.left(elapsed_s, many, 0.0) >= SHAPED.left(elapsed_s, few, 0.0) > 0


@given(st.floats(0, DAY), st.floats(0, DAY))
def test_more_is_due_later(a: float, b: float) -> None:
    early, late = sorted((a, b))
    assert 0 <= SHAPED.due(early) <= SHAPED.due(late) <= 24_000 + 1e-6
