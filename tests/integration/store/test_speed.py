"""What the store costs; bounds are several times the figures measured, which `-s` prints."""

import time

import pytest
from redis.asyncio import Redis

from gateway.edges.store.keys import GroupKeys

FIELDS = [(f"slo-{i}:route:good", 12_345_678_901) for i in range(60)]


async def test_a_full_read_of_full_rings_takes_less_than_a_tenth_of_a_second(replica) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    now_s = one.clock.wall_s()
    for hour in range(746):
        one.recorder.book(FIELDS, now_s - 3600 * hour)
        if hour % 60 == 59:
            await one.store.flush()
    for back_s in (*range(0, 78 * 300, 300), *range(0, 960, 10)):
        one.recorder.book(FIELDS, now_s - back_s)
    await one.store.flush()
    best_s = float("inf")
    for _ in range(3):
        began_s = time.perf_counter()
        slots = await one.store.slots(0)
        best_s = min(best_s, time.perf_counter() - began_s)
    print(f"\nslots(0): {len(slots)} slots of {len(FIELDS)} fields in {best_s * 1e3:.1f} ms")
    assert len([s for s in slots if s[0] == 3600]) >= 746
    assert best_s < 0.1


async def test_a_flush_takes_a_few_milliseconds(replica) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    took_s = []
    for _ in range(20):
        one.recorder.book(FIELDS, one.clock.wall_s())
        began_s = time.perf_counter()
        await one.store.flush()
        took_s.append(time.perf_counter() - began_s)
    print(f"\nflush of {len(FIELDS)} fields: median {sorted(took_s)[10] * 1e3:.2f} ms")
    assert sorted(took_s)[10] < 0.01


@pytest.mark.parametrize("count", [10])
async def test_booking_ten_entries_takes_about_a_microsecond(replica, count: int) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    now_s, entries = one.clock.wall_s(), FIELDS[:count]
    best_s = float("inf")
    for _ in range(5):
        began_s = time.perf_counter()
        for _ in range(10_000):
            one.recorder.book(entries, now_s)
        best_s = min(best_s, time.perf_counter() - began_s)
    print(f"\nbooking {count} entries: {best_s * 100:.2f} us")
    assert best_s / 10_000 < 5e-6


@pytest.mark.parametrize(("fields", "bytes_per_field_max"), [(12, 60), (60, 40), (240, 40), (500, 40)])
async def test_a_counter_costs_little_memory_in_every_ring(replica, client: Redis, fields: int, bytes_per_field_max: int) -> None:  # type: ignore[no-untyped-def]
    """A hash of up to 512 short fields is one flat listpack, above a table of about twice the size."""
    one = replica()
    now_s = one.clock.wall_s()
    one.recorder.book([(f"s.{i:010x}.x", 12_345_678_901) for i in range(fields)], now_s)
    await one.store.flush()
    key = GroupKeys("fleet").slot(3600, int(now_s // 3600))
    used = await client.memory_usage(key)
    slots = 746 + 97 + 121
    ring_mib, form = used * slots / 2**20, await client.object("ENCODING", key)
    print(f"\n{fields} counters: {used} bytes a slot, {used / fields:.1f} a counter, {ring_mib:.1f} MiB in {slots} slots, as {form}")
    assert used / fields < bytes_per_field_max


async def test_many_counters_still_fit(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    now_s = one.clock.wall_s()
    one.recorder.book([(f"s.{i:010x}.x", 12_345_678_901) for i in range(2000)], now_s)
    await one.store.flush()
    key = GroupKeys("fleet").slot(3600, int(now_s // 3600))
    used = await client.memory_usage(key)
    print(f"\n2000 counters: {used} bytes a slot, {used / 2000:.1f} a counter, as {await client.object('ENCODING', key)}")
    assert used / 2000 < 100
