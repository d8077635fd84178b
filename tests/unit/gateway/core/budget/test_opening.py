"""What a period counted before its first whole slot."""

import json

import pytest

from gateway.core.budget.counts import Counts
from gateway.core.budget.opening import SETTLED_S, Opening

HOUR = 1_759_968_000.0  # A whole hour, 2025-10-09 00:00:00 UTC.
STARTS = HOUR + 130.0


def played(until_s: float, starts_s: float = STARTS) -> tuple[Counts, Opening]:
    """One request every ten seconds of a period, and somebody who looks at them as a governor does; before it there was another one."""
    counts, opening = Counts(), Opening.of(starts_s)
    counts.add([("n", 1_000)], starts_s - 15.0)
    for i in range(int((until_s - starts_s) // 10)):
        wall_s = starts_s + 10 * i + 5.0
        counts.add([("n", 1)], wall_s)
        opening.advance(["n"], counts, wall_s)
    return counts, opening


def test_what_the_slots_still_tell_is_not_remembered() -> None:
    counts, opening = played(HOUR + 300 + SETTLED_S)
    assert opening.until_s == STARTS and not opening.amounts
    assert opening.total("n", counts, HOUR + 3600) == (300 + SETTLED_S - 130) / 10  # And nothing of the period before.


@pytest.mark.parametrize("stopped_s", [600.0, 2_000.0, 3_700.0, 4_000.0, 30_000.0])
@pytest.mark.parametrize("starts_s", [STARTS, HOUR + 300.0])
def test_a_stop_of_any_length_changes_no_account(stopped_s: float, starts_s: float) -> None:
    counts, opening = played(HOUR + stopped_s, starts_s)
    exact = (HOUR + stopped_s - starts_s) // 10
    assert opening.total("n", counts, HOUR + stopped_s + 3600) == exact
    later_s = HOUR + stopped_s + (1_200.0 if stopped_s < 3_600.0 + SETTLED_S else 40_000.0)  # Then all finer slots are gone.
    counts.add([("n", 1)], later_s)
    told = Opening.of_json(json.loads(json.dumps(opening.as_json())))
    told.advance(["n"], counts, later_s)
    assert told.total("n", counts, later_s + 3600) == exact + 1


def test_twenty_minutes_are_bridged_inside_the_first_hour() -> None:
    counts, opening = played(HOUR + 900)
    counts.add([("n", 1)], HOUR + 2_100)
    opening.advance(["n"], counts, HOUR + 2_100)
    assert opening.total("n", counts, HOUR + 3_600) == 77 + 1
    assert counts.total("n", STARTS, HOUR + 3_600) != 78, "else there was nothing to remember"


def test_a_field_that_nobody_remembered_is_told_by_the_slots() -> None:
    counts, opening = played(HOUR + 900)
    counts.add([("x", 3)], HOUR + 890)
    assert opening.until_s > STARTS
    assert opening.total("x", counts, HOUR + 3_600) == 3
