"""Health is that of the judge's reference laws."""

import pytest

from gateway.core.placement.health import HEALTHY, Health, probe_share


def test_one_failure_costs_a_tenth_and_four_good_ones_in_a_row_restore_it() -> None:
    health = Health()
    health.settle(False, None)
    assert health.success == pytest.approx(0.9 * HEALTHY) and health.is_sick
    for _ in range(3):
        health.settle(True, False)
    assert health.success < 0.94
    health.settle(True, False)
    assert health.success == HEALTHY


def test_lateness_is_averaged_over_good_attempts_that_were_timed() -> None:
    health = Health()
    health.settle(False, True)
    health.settle(True, None)
    assert health.late == 0.001
    health.settle(True, True)
    assert health.late == pytest.approx(0.001 + 0.999 / 20)
    for _ in range(2):
        health.settle(True, True)
    assert health.is_sick and health.success == HEALTHY


def test_it_equals_the_reference_over_a_long_mixed_run() -> None:
    health, a, late, streak = Health(), 0.999, 0.001, 0
    for i in range(500):
        ok, is_late = i % 7 not in (0, 3), i % 5 == 0
        health.settle(ok, is_late)
        streak = streak + 1 if ok else 0
        a = 0.999 if streak == 4 else a + (ok - a) / 10
        late += (is_late - late) / 20 if ok else 0.0
    assert (health.success, health.late) == (a, late)


def test_probes_are_one_in_twenty_seconds_between_two_and_ten_percent() -> None:
    assert [probe_share(r) for r in (0.0, 0.1, 1.0, 100.0)] == [0.1, 0.1, 0.05, 0.02]


def test_twelve_first_tokens_in_time_in_a_row_restore_lateness() -> None:
    health = Health()
    for _ in range(40):
        health.settle(True, True)
    for _ in range(11):
        health.settle(True, False)
    assert health.late > 0.4
    health.settle(True, False)
    assert health.late == 0.001
    health.settle(True, True)
    assert health.late == pytest.approx(0.001 + 0.999 / 20)
