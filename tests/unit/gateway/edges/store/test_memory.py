"""The store in one process: the same meaning as the real one (`tests/integration/store` runs both through one script)."""

from typing import Any

from gateway.edges.store.keys import WIDTHS
from gateway.edges.store.memory import MemoryStore, Shared
from gateway.edges.store.recorder import SlotRecorder


async def test_a_booking_is_in_one_slot_of_every_width(clock: Any) -> None:
    recorder = SlotRecorder()
    store = MemoryStore(clock, recorder)
    recorder.book([("n", 2)], clock.wall_s())
    assert await store.flush() == 1
    assert await store.flush() == 0
    assert sorted(await store.slots(0)) == [(w.seconds, int(clock.wall_s() // w.seconds), {"n": 2}) for w in WIDTHS]


async def test_only_what_changed_is_read_again(clock: Any) -> None:
    recorder = SlotRecorder()
    store = MemoryStore(clock, recorder)
    recorder.book([("n", 2)], clock.wall_s() - 7200)
    await store.flush()
    clock.at_s += 100
    mark_s = clock.wall_s()
    assert await store.slots(mark_s) == []
    recorder.book([("late", 1)], clock.wall_s() - 7300)
    await store.flush()
    hour = int((mark_s - 7300) // 3600)
    assert (3600, hour, {"n": 2, "late": 1}) in await store.slots(mark_s)


async def test_slots_are_forgotten_after_their_time(clock: Any) -> None:
    recorder = SlotRecorder()
    store = MemoryStore(clock, recorder)
    recorder.book([("n", 1)], clock.wall_s())
    await store.flush()
    clock.at_s += WIDTHS[0].kept_s + 1
    assert {s[0] for s in await store.slots(0)} == {300, 3600}
    clock.at_s += WIDTHS[-1].kept_s
    assert await store.slots(0) == []


async def test_a_lease_passes_on_when_it_runs_out_with_a_higher_token(clock: Any) -> None:
    shared = Shared()
    one, two = (MemoryStore(clock, SlotRecorder(), name, shared) for name in ("one", "two"))
    assert await one.lead(10.0) == 1
    assert await two.lead(10.0) is None
    clock.at_s += 9
    assert await one.lead(10.0) == 1
    clock.at_s += 10
    assert await two.lead(10.0) == 2
    assert await one.lead(10.0) is None
    await two.resign()
    assert await one.lead(10.0) == 3
