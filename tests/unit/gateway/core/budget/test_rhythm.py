"""How many requests each hour of the week brings."""

import pytest

from gateway.core.budget.counts import Counts
from gateway.core.budget.rhythm import HOUR_S, LEVEL_MAX, LEVEL_MIN, WEEK_HOURS, Rhythm

T = 16_800 * 168 * HOUR_S / 16_800 * 2900  # A whole number of weeks after the epoch.
DAY_S = 24 * HOUR_S


def by_hour(hour: int) -> int:
    """Ten times as much by day as by night, and a quiet seventh day."""
    return (100 if 8 <= hour % 24 < 20 else 10) // (5 if hour // 24 == 6 else 1)


def counted(weeks: float, level: float = 1.0, until_s: float = T) -> Counts:
    counts = Counts()
    hours = round(weeks * WEEK_HOURS)
    for i in range(hours, 0, -1):
        at_s = until_s - i * HOUR_S
        counts.add([("req", round(level * by_hour(int(at_s // HOUR_S) % WEEK_HOURS)))], at_s + 5)
    return counts


def test_below_a_week_of_history_there_is_none() -> None:
    assert Rhythm.learned(Counts(), "req", T) is None
    assert Rhythm.learned(counted(0.9), "req", T) is None
    assert Rhythm.learned(counted(1.0), "req", T) is not None


def test_each_hour_is_the_mean_of_its_weeks() -> None:
    rhythm = Rhythm.learned(counted(3.0), "req", T)
    assert rhythm is not None and list(rhythm.hours) == pytest.approx([by_hour(h) for h in range(WEEK_HOURS)])


def test_what_is_to_come_follows_the_hours_and_not_the_clock() -> None:
    rhythm = Rhythm.learned(counted(2.0), "req", T)
    assert rhythm is not None
    assert rhythm.between(T, T + 8 * HOUR_S) == pytest.approx(80)
    assert rhythm.between(T + 8 * HOUR_S, T + 20 * HOUR_S) == pytest.approx(1200)
    assert rhythm.between(T + 1.5 * HOUR_S, T + 1.75 * HOUR_S) == pytest.approx(2.5)
    week = sum(by_hour(h) for h in range(WEEK_HOURS))
    assert rhythm.between(T, T + 7 * DAY_S) == pytest.approx(week)
    assert rhythm.between(T + 0.5 * HOUR_S, T + 28.5 * DAY_S) == pytest.approx(
        4 * week + rhythm.between(T + 0.5 * HOUR_S, T + 12.0 * HOUR_S)
    )
    assert rhythm.between(T + 5, T) == 0.0


def test_twice_the_traffic_is_twice_the_level_within_hours() -> None:
    counts, launched_s = counted(2.0), T + 14 * HOUR_S
    for i in range(14):
        at_s = T + i * HOUR_S
        counts.add([("req", 2 * by_hour(i))], at_s + 5)
    rhythm = Rhythm.learned(counted(2.0), "req", T)
    assert rhythm is not None
    assert rhythm.level(counts, "req", launched_s) == pytest.approx(2.0, abs=0.02)
    assert rhythm.level(counted(2.0), "req", T) == pytest.approx(1.0)


def test_a_level_stays_within_bounds() -> None:
    rhythm = Rhythm([1000.0] * WEEK_HOURS)
    assert rhythm.level(Counts(), "req", T) == LEVEL_MIN
    flood = Counts()
    flood.add([("req", 10**9)], T - 60)
    assert rhythm.level(flood, "req", T) == LEVEL_MAX
