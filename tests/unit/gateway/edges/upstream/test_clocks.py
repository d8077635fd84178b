"""Deadlines that strike only while the backend is waited for."""

import asyncio

import pytest

from gateway.domain.errors import Reason
from gateway.edges.clock import SystemClock
from gateway.edges.upstream.clocks import Alarm, Clocks
from gateway.ports import UpstreamFailure


async def waits(clocks: Clocks, seconds: float) -> None:
    try:
        clocks.wait()
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if clocks.has_struck():
            raise clocks.failure() from None
        raise
    finally:
        clocks.waited()


def clocks(ttft_s: float = 9.0, idle_s: float = 9.0, total_s: float = 9.0, speed: float = 1.0) -> Clocks:
    return Clocks(SystemClock(speed), "b", ttft_s, idle_s, total_s)


async def struck(made: Clocks, seconds: float = 1.0) -> Reason:
    with pytest.raises(UpstreamFailure) as caught:
        await waits(made, seconds)
    return caught.value.reason


async def test_the_first_token_clock_strikes_and_leaves_the_task_uncancelled():
    made = clocks(ttft_s=0.05)
    assert await struck(made) is Reason.UPSTREAM_TIMEOUT_TTFT
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    await asyncio.sleep(0)


async def test_after_the_first_token_the_idle_clock_runs_anew_with_every_wait():
    made = clocks(ttft_s=0.05, idle_s=0.08)
    await waits(made, 0.03)
    made.first_token_came()
    for _ in range(4):
        await waits(made, 0.05)
    assert await struck(made) is Reason.UPSTREAM_TIMEOUT_IDLE
    made.stop()


async def test_the_total_clock_runs_through():
    made = clocks(ttft_s=0.05, idle_s=0.1, total_s=0.15)
    made.first_token_came()
    await waits(made, 0.06)
    await waits(made, 0.06)
    assert await struck(made) is Reason.UPSTREAM_TIMEOUT_TOTAL


async def test_time_that_the_client_takes_is_not_the_backends():
    made = clocks(ttft_s=9.0, idle_s=0.05)
    made.first_token_came()
    await waits(made, 0.01)
    await asyncio.sleep(0.12)
    await waits(made, 0.01)
    made.stop()


async def test_a_total_that_ran_out_meanwhile_is_found_at_the_next_wait():
    made = clocks(total_s=0.03)
    await waits(made, 0.0)
    await asyncio.sleep(0.06)
    assert await struck(made, 0.0) is Reason.UPSTREAM_TIMEOUT_TOTAL


async def test_a_cancel_from_outside_stays_one_even_when_the_clock_strikes_too():
    made: list[Clocks] = []

    async def work() -> None:
        made.append(clocks(ttft_s=0.05))
        await waits(made[0], 1.0)

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0.01)
    made[0]._struck = True
    task.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_faster_clock_strikes_sooner():
    made = clocks(ttft_s=0.5, speed=10.0)
    start = asyncio.get_running_loop().time()
    assert await struck(made) is Reason.UPSTREAM_TIMEOUT_TTFT
    assert 0.03 < asyncio.get_running_loop().time() - start < 0.2


async def test_the_message_names_backend_and_patience():
    made = clocks(ttft_s=0.02)
    with pytest.raises(UpstreamFailure, match=r"backend b: no first token within 0\.02 s"):
        await waits(made, 1.0)


async def test_one_alarm_strikes_each_attempt_at_its_own_deadline_whatever_order_they_came_in():
    clock, loop = SystemClock(), asyncio.get_running_loop()
    alarm, start, ended = Alarm(clock), loop.time(), {}

    async def attempt(ttft_s: float) -> None:
        made = Clocks(clock, "b", ttft_s, 9.0, 9.0, alarm)
        assert await struck(made) is Reason.UPSTREAM_TIMEOUT_TTFT
        ended[ttft_s] = loop.time() - start
        made.stop()

    await asyncio.gather(*(attempt(s) for s in (0.15, 0.05, 0.1, 0.02)))
    assert all(limit_s - 0.002 <= at_s < 0.9 for limit_s, at_s in ended.items())
    assert not alarm.watched and alarm.at_s == float("inf")


async def test_an_attempt_that_ended_leaves_the_alarm_and_one_that_goes_on_keeps_it():
    clock = SystemClock()
    alarm = Alarm(clock)
    ended, going = Clocks(clock, "b", 0.02, 9.0, 9.0, alarm), Clocks(clock, "b", 0.06, 9.0, 9.0, alarm)
    await waits(ended, 0.0)
    ended.stop()
    assert list(alarm.watched) == [going]
    assert await struck(going) is Reason.UPSTREAM_TIMEOUT_TTFT
