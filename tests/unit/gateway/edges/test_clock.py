import asyncio
import time

import pytest

from gateway.edges.clock import SystemClock


def test_a_clock_follows_the_system():
    clock = SystemClock()
    assert clock.wall_s() == pytest.approx(time.time(), abs=0.05)
    first = clock.now_s()
    assert clock.now_s() >= first


def test_a_faster_clock_lets_more_seconds_pass_and_foreign_timers_run_shorter():
    clock = SystemClock(speed=600.0)
    mono, wall, real = clock.now_s(), clock.wall_s(), time.monotonic()
    time.sleep(0.02)
    passed = (time.monotonic() - real) * 600.0
    assert clock.now_s() - mono == pytest.approx(passed, rel=0.2)
    assert clock.wall_s() - wall == pytest.approx(passed, rel=0.2)
    assert clock.real_s(60.0) == pytest.approx(0.1)


async def test_sleep_is_in_the_clocks_own_seconds():
    clock = SystemClock(speed=100.0)
    began = time.monotonic()
    await clock.sleep(2.0)
    assert 0.015 <= time.monotonic() - began < 1.0
    assert asyncio.get_running_loop() is not None
