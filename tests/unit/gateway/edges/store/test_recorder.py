"""The recorder: right slots, nothing dropped, bounded memory."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.store.recorder import HOURS_MAX, SLOTS_PER_HOUR, SlotRecorder


def test_entries_land_in_the_ten_second_slot_of_their_time() -> None:
    recorder = SlotRecorder()
    recorder.book([("good", 1), ("usd", 5)], 100.0)
    recorder.book([("good", 2)], 109.999)
    recorder.book([("good", 4)], 110.0)
    assert recorder.take(recorder.numbers[:10]) == {10: {"good": 3, "usd": 5}, 11: {"good": 4}}


def test_what_is_booked_after_a_take_comes_with_the_next_one() -> None:
    recorder = SlotRecorder()
    recorder.book([("good", 1)], 100.0)
    taken = recorder.take(recorder.numbers[:10])
    recorder.book([("good", 1)], 101.0)
    assert taken == {10: {"good": 1}}
    assert recorder.take(recorder.numbers[:10]) == {10: {"good": 1}}
    assert recorder.take(recorder.numbers[:10]) == {}


def test_what_waits_can_be_looked_at_without_taking_it() -> None:
    recorder = SlotRecorder()
    recorder.book([("n", 1)], 100.0)
    recorder.book([("n", 2)], 110.0)
    assert recorder.held(0) == {10: {"n": 1}, 11: {"n": 2}}
    assert recorder.held(11) == {11: {"n": 2}}
    assert recorder.take(recorder.numbers[:10]) == {10: {"n": 1}, 11: {"n": 2}}


def test_the_oldest_slots_are_taken_first() -> None:
    recorder = SlotRecorder()
    for second in (300, 100, 200):
        recorder.book([("n", second)], second)
    assert list(recorder.take(recorder.numbers[:2])) == [10, 20]
    assert list(recorder.take(recorder.numbers[:2])) == [30]


def test_a_late_verdict_goes_into_its_own_slot() -> None:
    recorder = SlotRecorder()
    recorder.book([("n", 1)], 1000.0)
    recorder.book([("late", 1)], 10.0)
    recorder.book([("n", 1)], 1001.0)
    assert recorder.take(recorder.numbers[:9]) == {1: {"late": 1}, 100: {"n": 2}}


def test_a_day_of_outage_keeps_every_hour_right_in_bounded_memory() -> None:
    recorder = SlotRecorder()
    for second in range(0, 24 * 3600, 10):
        recorder.book([("n", 1)], second)
        assert recorder.slots_held <= 720 + 24
    taken = recorder.take(recorder.numbers[:100_000])
    hours: dict[int, int] = {}
    for number, totals in taken.items():
        hours[number // SLOTS_PER_HOUR] = hours.get(number // SLOTS_PER_HOUR, 0) + totals["n"]
    assert hours == dict.fromkeys(range(24), 360)
    assert all(n in taken for n in range(24 * 360 - 360, 24 * 360)), "the last hour stays as it came"


def test_two_months_of_outage_stay_bounded_and_lose_nothing() -> None:
    recorder = SlotRecorder(slots_max=4)
    for hour in range(60 * 24):
        recorder.book([("n", 1)], hour * 3600)
    assert recorder.slots_held <= HOURS_MAX + 1
    assert sum(t["n"] for t in recorder.take(recorder.numbers[: 10**6]).values()) == 60 * 24


@given(st.lists(st.tuples(st.floats(0, 40_000), st.sampled_from("abc"), st.integers(-5, 10**12))), st.integers(1, 8))
def test_totals_survive_any_order_of_booking_merging_and_taking(bookings: list[tuple[float, str, int]], slots_max: int) -> None:
    recorder, expected, got = SlotRecorder(slots_max), dict.fromkeys("abc", 0), dict.fromkeys("abc", 0)
    for i, (wall_s, name, amount) in enumerate(bookings):
        recorder.book([(name, amount)], wall_s)
        expected[name] += amount
        if i % 7 == 6:
            for totals in recorder.take(recorder.numbers[:2]).values():
                for key, value in totals.items():
                    got[key] += value
    for totals in recorder.take(recorder.numbers[: 10**6]).values():
        for key, value in totals.items():
            got[key] += value
    assert got == expected
