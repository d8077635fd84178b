"""Burn rates."""

import pytest

from gateway.core.budget.burn import WINDOWS_S, burn_rate, spend_rate
from gateway.domain.reading import Reading


def test_one_means_that_the_budget_ends_with_its_window() -> None:
    assert burn_rate(Reading(bad=1, valid=1000, window_s=300), bad_ratio=0.001) == pytest.approx(1.0)


def test_ten_times_the_allowed_share_burns_ten_times_as_fast() -> None:
    assert burn_rate(Reading(bad=10, valid=1000, window_s=300), bad_ratio=0.001) == pytest.approx(10.0)


def test_no_events_are_no_data_rather_than_a_perfect_record() -> None:
    assert burn_rate(Reading(bad=0, valid=0, window_s=300), bad_ratio=0.001) is None
    assert burn_rate(Reading(bad=0, valid=1, window_s=300), bad_ratio=0.001) == 0.0


def test_dollars_burn_by_time() -> None:
    # A budget of 86.4 dollars a day is 3.6 an hour; 7.2 in the last hour are twice that.
    assert spend_rate(7.2, window_s=3600, budget_usd=86.4, period_s=86_400) == pytest.approx(2.0)


def test_the_windows_are_those_of_the_sre_workbook() -> None:
    assert WINDOWS_S == {"5m": 300, "30m": 1800, "1h": 3600, "2h": 7200, "6h": 21600, "1d": 86400, "3d": 259200}
