"""Pairs of windows, and how fast is too fast."""

import pytest

from gateway.core.budget.tiers import TIERS, tiers_within

DAY_S = 86_400.0


@pytest.mark.parametrize(("days", "factors"), [(30, [14.4, 6, 3, 1]), (28, [13.44, 5.6, 2.8, 0.9333]), (7, [13.44, 3.5, 1.4, 0.98])])
def test_factors_are_those_of_the_workbook_and_of_sloths_week(days: int, factors: list[float]) -> None:
    assert [t.factor(days * DAY_S) for t in tiers_within(days * DAY_S)] == pytest.approx(factors, rel=1e-4)


def test_pages_look_at_hours_and_tickets_at_days() -> None:
    assert [(t.severity, t.long, t.short) for t in TIERS] == [
        ("page", "1h", "5m"), ("page", "6h", "30m"), ("ticket", "1d", "2h"), ("ticket", "3d", "6h")
    ]  # fmt: skip


def test_a_short_window_has_no_tier_that_would_fire_below_the_allowed_pace() -> None:
    assert [t.long for t in tiers_within(DAY_S)] == ["1h"]
    assert list(tiers_within(3600.0)) == []
