"""The engine in real time: what is due is told, neither early nor often."""

import asyncio
import time

from load.engine import EngineEvent, EngineModel, EventKind
from load.pacer import PacedJob, Pacer

MODEL = EngineModel(d0_s=0.02, d1_s=0.0, prefill_s_per_token=0.0, prefill_only_s=0.02)


class Listener(PacedJob):
    """Notes what it hears and when."""

    __slots__ = ("heard_s", "kinds", "over", "tokens")

    def __init__(self, output_tokens: int) -> None:
        super().__init__(10, output_tokens)
        self.kinds: list[EventKind] = []
        self.tokens: list[int] = []
        self.heard_s: list[float] = []
        self.over = asyncio.Event()

    def heard(self, event: EngineEvent[PacedJob]) -> None:
        self.kinds.append(event.kind)
        self.tokens.append(event.tokens)
        self.heard_s.append(time.monotonic())
        if event.kind is EventKind.FINISHED:
            self.over.set()


async def test_tokens_are_told_when_they_are_due_and_never_before() -> None:
    pacer, job, began_s = Pacer(MODEL, time.monotonic), Listener(6), time.monotonic()
    pacer.submit([job])
    await asyncio.wait_for(job.over.wait(), 5)
    assert sum(job.tokens) == 6
    assert (job.kinds[0], job.kinds[-1]) == (EventKind.FIRST_TOKEN, EventKind.FINISHED)
    told, due_s = 0, []
    for tokens in job.tokens:
        told += tokens
        due_s.append(0.02 * told)
    assert all(at_s - began_s >= due - 1e-3 for at_s, due in zip(job.heard_s, due_s, strict=True))
    assert job.heard_s[-1] - began_s < 2


async def test_speed_divides_time_and_one_tick_brings_several_tokens() -> None:
    pacer, job, began_s = Pacer(MODEL, time.monotonic, speed=100.0, tick_s=0.02), Listener(1000), time.monotonic()
    pacer.submit([job])
    await asyncio.wait_for(job.over.wait(), 10)
    elapsed_s = time.monotonic() - began_s
    assert elapsed_s >= 0.19  # 1000 * 20 ms / 100
    assert sum(job.tokens) == 1000
    assert len(job.tokens) <= elapsed_s / 0.02 + 2
    assert max(job.tokens) > 10


async def test_a_cancelled_job_hears_nothing_more_and_an_idle_engine_has_no_timer() -> None:
    pacer, gone, stays = Pacer(MODEL, time.monotonic, speed=10.0), Listener(50), Listener(5)
    pacer.submit([gone, stays])
    pacer.cancel([gone])
    await asyncio.wait_for(stays.over.wait(), 5)
    assert (gone.kinds, pacer.engine.running) == ([], 0)
    assert pacer._timer is None
    pacer.cancel([gone, stays])


async def test_a_slow_down_is_felt() -> None:
    pacer, job, began_s = Pacer(MODEL, time.monotonic, speed=10.0), Listener(11), time.monotonic()
    pacer.slow_down(10.0)
    pacer.submit([job])
    await asyncio.wait_for(job.over.wait(), 10)
    assert time.monotonic() - began_s >= 0.2


async def test_counters_can_be_brought_up_to_now_between_ticks() -> None:
    clock = [0.0]
    pacer, job = Pacer(MODEL, lambda: clock[0]), Listener(10)
    pacer.submit([job])
    clock[0] = 0.041
    pacer.settle()
    assert sum(job.tokens) == 2
    pacer.stop()
    assert pacer._timer is None
