"""All windows in one pass."""

import pytest

from gateway.core.budget.counts import Counts
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slo import DAY_S, Slo, SloSpec
from gateway.core.budget.windows import KEEP_S, Windows

T = 1_759_968_000.0
WINDOWS = {"5m": 300.0, "1h": 3600.0, "1d": DAY_S, "30d": 30 * DAY_S}


def test_each_window_holds_the_shorter_ones() -> None:
    counts = Counts()
    for ago_s, amount in ((100, 1), (1800, 10), (7200, 100), (5 * DAY_S, 1000), (31 * DAY_S, 10_000)):
        counts.add([("n", amount)], T - ago_s)
    assert Windows().totals("n", counts, T, WINDOWS) == {"5m": 1, "1h": 11, "1d": 111, "30d": 1111}
    assert Windows().totals("other", counts, T, WINDOWS) == dict.fromkeys(WINDOWS, 0)


def test_a_slot_of_a_clock_that_is_a_little_ahead_counts() -> None:
    counts = Counts()
    counts.add([("n", 1)], T + 5)
    assert Windows().totals("n", counts, T, WINDOWS)["5m"] == 1


def test_they_are_what_single_sums_are() -> None:
    counts = Counts()
    for i in range(2000):
        counts.add([("n", 1 + i % 7)], T - 17 * i)
    for name, length_s in {"5m": 300.0, "1h": 3600.0, "6h": 21_600.0}.items():
        together = Windows().totals("n", counts, T, {"5m": 300.0, "1h": 3600.0, "6h": 21_600.0})[name]
        assert together == pytest.approx(counts.total("n", T - length_s, T + 10), rel=0.01)


def test_verdicts_are_read_by_their_weight_once_there_are_enough() -> None:
    slo = Slo.of(SloSpec("quality", "quality", Quality.Options(), 0.8, 28 * DAY_S))
    assert slo.evidence_field is not None
    counts = Counts()
    counts.add([(slo.evidence_field, 150), (slo.valid_field, 300_000), (slo.bad_field, 60_000)], T - 100)
    counts.add([(slo.evidence_field, 50), (slo.valid_field, 100_000)], T - 7200)
    read = Windows().readings(slo, counts, T, WINDOWS)
    assert read["1h"].ratio is None and read["1d"].ratio == pytest.approx(60 / 400) and read["1d"].valid == 400


def test_plain_events_are_read_from_the_first_on() -> None:
    slo = Slo.of(SloSpec("availability", "availability", Availability.Options(), 0.99, 28 * DAY_S))
    counts = Counts()
    counts.add([(slo.valid_field, 2), (slo.bad_field, 1)], T - 100)
    assert {name: r.ratio for name, r in Windows().readings(slo, counts, T, WINDOWS).items()} == dict.fromkeys(WINDOWS, 0.5)


def test_what_lies_far_back_is_summed_anew_once_a_minute_and_after_a_jump_of_the_clock() -> None:
    counts, windows = Counts(), Windows()
    counts.add([("n", 1)], T - 5 * DAY_S)
    assert windows.totals("n", counts, T, WINDOWS)["30d"] == 1
    counts.add([("n", 10)], T - 6 * DAY_S)  # A late verdict, say.
    counts.add([("n", 100)], T - 20)
    assert windows.totals("n", counts, T + 5, WINDOWS) == {"5m": 100, "1h": 100, "1d": 100, "30d": 101}
    assert windows.totals("n", counts, T + KEEP_S, WINDOWS)["30d"] == 111
    assert windows.totals("n", counts, T - 5.5 * DAY_S, WINDOWS)["1d"] == 10
