"""Slots, and sums over any stretch of time."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.budget.counts import KEPT, WIDTHS_S, Counts

T = 1_760_000_400  # 2025-10-09 09:00:00 UTC, a boundary of every width.
HOUR = 3600


def counted(events: Iterable[tuple[float, int]], name: str = "n") -> Counts:
    counts = Counts()
    for at_s, amount in events:
        counts.add([(name, amount)], at_s)
    return counts


def slots_of(totals: dict[int, int], widths: Iterable[int] = WIDTHS_S) -> list[tuple[int, int, dict[str, int]]]:
    """Return what a store would hold of events at given seconds."""
    slots: dict[tuple[int, int], int] = {}
    for at_s, amount in totals.items():
        for width in widths:
            slots[width, at_s // width] = slots.get((width, at_s // width), 0) + amount
    return [(width, number, {"n": amount}) for (width, number), amount in slots.items()]


def test_an_hour_of_events_is_summed_whole_and_in_parts() -> None:
    counts = counted((T + i, 1) for i in range(HOUR))
    assert counts.total("n", T, T + HOUR) == 3600
    assert counts.total("n", T, T + HOUR + 60) == 3600
    assert counts.total("n", T + 3000, T + 3600) == 600
    assert counts.total("n", T + 3010, T + 3350) == 340
    assert counts.total("n", T - HOUR, T) == 0


def test_a_stretch_across_hours_takes_each_event_once() -> None:
    counts = counted((T + i, 1) for i in range(0, 3 * HOUR, 10))
    assert counts.total("n", T + 1800, T + 2 * HOUR + 1800) == 720
    assert counts.total("n", T + 1790, T + 3 * HOUR) == 901
    assert counts.total("n", T, T + 3 * HOUR) == 1080


def test_an_empty_or_reversed_stretch_is_nothing() -> None:
    counts = counted([(T, 5)])
    assert counts.total("n", T + 5, T + 5) == 0
    assert counts.total("n", T + HOUR, T) == 0
    assert counts.total("unknown", T, T + HOUR) == 0


def test_of_a_ten_second_slot_at_the_edge_the_nearer_half_decides() -> None:
    counts = counted([(T + 5, 7), (T + 100, 1)])
    assert counts.total("n", T + 4, T + 60) == 7
    assert counts.total("n", T + 6, T + 60) == 0
    assert counts.total("n", T + 60, T + 101) == 1  # The newest slot counts whole: its events have already happened.


def test_several_fields_of_one_stretch() -> None:
    counts = Counts()
    counts.add([("n", 1), ("usd", 7)], T)
    counts.add([("n", 1), ("usd", -2)], T + 10)
    assert counts.totals(["n", "usd", "x"], T, T + 60) == {"n": 2, "usd": 5, "x": 0}
    assert counts.fields() == {"n", "usd"}


def test_a_slot_read_again_replaces_what_was_known_of_it() -> None:
    counts = Counts()
    assert counts.update(slots_of({T: 3, T + 15: 4})) == {"n": 7}
    assert counts.update(slots_of({T: 3, T + 15: 4})) == {}
    assert counts.total("n", T, T + HOUR) == 7


def test_what_is_new_is_said_field_by_field_even_in_an_old_slot() -> None:
    counts = Counts()
    counts.update([(3600, T // HOUR, {"n": 10, "x": 1}), (3600, T // HOUR + 1, {"n": 5})])
    fresh = counts.update([(3600, T // HOUR, {"n": 10, "x": 3}), (3600, T // HOUR + 1, {"n": 9})])
    assert fresh == {"n": 4, "x": 2}


def test_only_the_hours_say_what_is_new_or_it_would_count_three_times() -> None:
    assert Counts().update(slots_of({T: 1}, widths=(10, 300))) == {}


def test_a_store_that_lost_writes_is_followed_down_and_up_again() -> None:
    counts = Counts()
    counts.update(slots_of({T: 10}))
    assert counts.update(slots_of({T: 6})) == {"n": -4}
    assert counts.update(slots_of({T: 11})) == {"n": 5}


def test_where_ten_second_slots_are_gone_a_partly_covered_one_counts_by_its_share() -> None:
    counts = counted([(T + 30, 300), (T + 2 * HOUR, 1)])  # The first 5-min slot of the hour holds 300.
    for number in [n for n in counts._slots[10] if n < T // 10 + 400]:
        del counts._slots[10][number]
    assert counts.total("n", T + 150, T + HOUR) == 150


def test_a_store_that_kept_only_wide_slots_loses_nothing_at_the_edges() -> None:
    """After a quiet time a process that starts reads hours and five minutes, but no ten seconds."""
    counts = Counts()
    counts.update(slots_of({T + 30: 300}, widths=(300, 3600)))
    assert counts.total("n", T + 150, T + HOUR) == 150
    counts = Counts()
    counts.update(slots_of({T + 30: 300}, widths=(3600,)))
    assert counts.total("n", T + HOUR // 2, T + 2 * HOUR) == 150


def test_a_month_of_hours_is_kept_and_no_more_ten_second_slots_than_needed() -> None:
    counts = counted((T + i * HOUR, 1) for i in range(33 * 24))
    assert counts.total("n", T, T + 33 * 24 * HOUR) == 33 * 24
    assert counts.total("n", T + 5 * HOUR, T + 745 * HOUR) == 740
    for i in range(5000):
        counts.add([("n", 1)], T + 33 * 24 * HOUR + 10 * i)
    assert KEPT[10] <= len(counts._slots[10]) <= KEPT[10] * 1.25
    assert len(counts._slots[300]) <= KEPT[300] * 1.25
    assert len(counts._slots[3600]) <= KEPT[3600] * 1.25


def test_fields_are_forgotten_with_their_last_slot() -> None:
    counts = counted([(T, 1)], name="old")
    for i in range(1100):
        counts.add([("new", 1)], T + (i + 1) * HOUR)
    assert counts.fields() == {"new"}


events = st.lists(st.tuples(st.integers(0, 890), st.integers(1, 9)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(events, st.integers(0, 90), st.integers(0, 90))
def test_within_a_quarter_of_an_hour_sums_are_exact_on_every_ten_second_boundary(made: list[tuple[int, int]], a: int, b: int) -> None:
    first, last = 10 * min(a, b), 10 * max(a, b)
    counts = counted((T + at, amount) for at, amount in made)
    assert counts.total("n", T + first, T + last) == sum(amount for at, amount in made if first <= at < last)


@settings(max_examples=60, deadline=None)
@given(events, st.lists(events, max_size=3))
def test_reading_twice_reordered_or_in_parts_gives_the_same_totals(first: list[tuple[int, int]], more: list[list[tuple[int, int]]]) -> None:
    totals: dict[int, int] = {}
    counts, fresh_sum = Counts(), 0
    for batch in [first, *more]:
        for at, amount in batch:
            totals[T + at] = totals.get(T + at, 0) + amount
        fresh_sum += counts.update(slots_of(totals)).get("n", 0)
        counts.update(reversed(slots_of(totals)))
    assert fresh_sum == sum(totals.values())
    assert counts.total("n", T, T + HOUR) == sum(totals.values())


def test_a_copy_goes_its_own_way() -> None:
    counts = Counts()
    counts.add([("n", 1)], 1_000.0)
    other = counts.copy()
    other.add([("n", 2)], 1_000.0)
    assert (counts.total("n", 0.0, 3600.0), other.total("n", 0.0, 3600.0)) == (1, 3)
