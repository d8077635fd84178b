"""Fault timelines: when, which of several, and what a request meets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.faults import Fault, FaultError, FaultKind, Switch, active, switches

OUTAGE = Fault(FaultKind.REFUSE, at_s=100.0, for_s=50.0, target="strong")
SLOW = Fault(FaultKind.SLOW, at_s=120.0, for_s=100.0, target="strong", size=4.0)


def test_a_fault_is_on_from_its_start_until_just_before_its_end() -> None:
    assert [OUTAGE.active(t) for t in (99.9, 100.0, 149.9, 150.0)] == [False, True, True, False]


def test_of_two_faults_the_one_that_began_last_is_in_force() -> None:
    faults = [SLOW, OUTAGE]
    assert [active(faults, "strong", t) for t in (50.0, 110.0, 130.0, 160.0, 230.0)] == [None, OUTAGE, SLOW, SLOW, None]
    assert active(faults, "weak", 130.0) is None


def test_switches_are_the_changes_and_nothing_else() -> None:
    assert switches([SLOW, OUTAGE]) == [Switch(100.0, "strong", OUTAGE), Switch(120.0, "strong", SLOW), Switch(220.0, "strong", None)]
    assert switches([Fault(FaultKind.DOWN, target="weak")]) == [Switch(0.0, "weak", Fault(FaultKind.DOWN, target="weak"))]


@given(st.lists(st.builds(Fault, st.sampled_from(FaultKind), st.integers(0, 20), st.integers(1, 9), st.sampled_from("ab")), max_size=8))
def test_playing_the_switches_gives_what_active_says(faults: list[Fault]) -> None:
    for target in "ab":
        for t in range(32):
            played = [s.fault for s in switches(faults) if s.target == target and s.at_s <= t]
            assert (played[-1] if played else None) is active(faults, target, t)


def test_errors_hit_their_share_and_outages_everybody() -> None:
    errors = Fault(FaultKind.ERRORS, size=0.3)
    assert [errors.status(u) for u in (0.0, 0.29, 0.3, 0.9)] == [500, 500, None, None]
    assert (Fault(FaultKind.DOWN).status(0.9), Fault(FaultKind.RATE_LIMIT).status(0.9), SLOW.status(0.0)) == (503, 429, None)


def test_only_a_killed_backend_loses_what_it_works_on() -> None:
    assert [kind for kind in FaultKind if Fault(kind).kills_in_flight] == [FaultKind.REFUSE]


def test_the_body_for_the_switch_reads_back() -> None:
    fault = Fault(FaultKind.CUT, size=7.0, seed=3)
    assert Fault.read(fault.body()) == fault
    assert (fault.tokens_max, SLOW.tokens_max, SLOW.slow, fault.slow) == (7, None, 4.0, 1.0)
    assert Fault.read({"kind": "none"}) is None
    assert Fault.read({"kind": "errors"}) == Fault(FaultKind.ERRORS, size=0.3)


@pytest.mark.parametrize(
    "body", [{}, {"kind": "tired"}, {"kind": "errors", "size": 1.1}, {"kind": "slow", "size": 0}, {"kind": "cut", "size": "many"}]
)
def test_impossible_faults_are_refused(body: dict[str, object]) -> None:
    with pytest.raises(FaultError):
        Fault.read(body)


def test_a_scenario_may_spell_the_kind_as_text_and_leave_the_size_out() -> None:
    assert Fault(kind="errors") == Fault(FaultKind.ERRORS, size=0.3)  # type: ignore[arg-type]
    with pytest.raises(FaultError, match="'tired' is none of down, refuse"):
        Fault(kind="tired")  # type: ignore[arg-type]


def test_a_fault_without_duration_is_refused() -> None:
    with pytest.raises(FaultError, match="last"):
        Fault(FaultKind.DOWN, for_s=0.0)
