"""An engine in real time: jobs go in, and what happens to them is told when it is due.

Ticks come at the engine's own events but not more often than every `tick_s`; what fell due in between is told together, so
that hundreds of streams cost one wake-up per tick and one write per stream and tick.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from load.engine import Engine, EngineEvent, EngineModel, Job

TICK_S = 0.005
"""Shortest real time between two ticks: a bound on CPU, and on how late a token can be."""
TIMER_S = 0.0005
"""Timers of the loop are coarse; none is set nearer than this."""


class PacedJob(Job, ABC):
    """A job that is told its own events."""

    __slots__ = ()

    @abstractmethod
    def heard(self, event: "EngineEvent[PacedJob]") -> None:
        """Take an event. It must not raise."""


class Pacer:
    """Drives one engine by a clock.

    Args:
        clock: monotonic real seconds.
        speed: engine seconds per real second.
    """

    def __init__(self, model: EngineModel, clock: Callable[[], float], speed: float = 1.0, tick_s: float = TICK_S) -> None:
        self.engine = Engine[PacedJob](model, emit_tokens=True)
        self.speed = speed
        self._clock, self._tick_s = clock, tick_s
        self._began_s = clock()
        self._last_tick_s = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def now_s(self) -> float:
        """Engine seconds since the pacer was made."""
        return (self._clock() - self._began_s) * self.speed

    def submit(self, jobs: Sequence[PacedJob]) -> None:
        """Start jobs together."""
        now_s = self.now_s()
        for job in jobs:
            self.engine.submit(job, now_s)
        self._arm()

    def cancel(self, jobs: Sequence[PacedJob]) -> None:
        """Forget jobs, those that are over too; they hear nothing more."""
        now_s = self.now_s()
        for job in jobs:
            self.engine.cancel(job, now_s)
        self._arm()

    def slow_down(self, factor: float) -> None:
        """Multiply the engine's iterations; 1 is its own speed."""
        self.engine.slow_down(factor, self.now_s())
        self._arm()

    def settle(self) -> None:
        """Bring the engine's counters up to now; events due are told."""
        self._tick()

    def stop(self) -> None:
        """Tell nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self.stop()
        self._last_tick_s = self._clock()
        for event in self.engine.advance(self.now_s()):
            event.job.heard(event)
        self._arm()

    def _arm(self) -> None:
        self.stop()
        if (next_s := self.engine.next_event_s()) is not None:
            due_s = (next_s - self.now_s()) / self.speed
            rest_s = self._last_tick_s + self._tick_s - self._clock()
            self._timer = asyncio.get_running_loop().call_later(max(due_s, rest_s, TIMER_S), self._tick)
