"""The only file that reads time."""

import asyncio
import time


class SystemClock:
    """Monotonic and wall time. `speed` makes every second of it pass faster: for load tests only, never in production."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._mono_0, self._wall_0 = time.monotonic(), time.time()
        # Straight to the system's: a request reads the clock eleven times, and a function around costs as much again.
        if speed == 1.0 and type(self) is SystemClock:
            self.now_s, self.wall_s = time.monotonic, time.time  # type: ignore[method-assign]

    def now_s(self) -> float:
        """Monotonic seconds."""
        return self._mono_0 + (time.monotonic() - self._mono_0) * self.speed

    def wall_s(self) -> float:
        """Unix seconds. At speed 1 steps of the system clock are followed; a faster clock runs on from its start."""
        return self._wall_0 + (time.time() - self._wall_0) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait, in this clock's seconds."""
        await asyncio.sleep(seconds / self.speed)

    def real_s(self, seconds: float) -> float:
        """Turn this clock's seconds into real ones."""
        return seconds / self.speed
