"""The clocks of one attempt: first token, idle, total. (The connect clock is aiohttp's `sock_connect`.)

One timer for all attempts (`Alarm`), set to the nearest deadline. It is not moved when that deadline moves (that happens with every
chunk) or is met (that happens with every answer): when it goes off it looks at all attempts, and is set again to what is nearest
then. So an attempt sets no timer of its own (2 us), and the alarm goes off about once per patience. A deadline strikes only while the
attempt waits for its backend: a reader who is slow must not make a backend look slow. It strikes by cancelling the waiting task, as
`asyncio.timeout` does, which costs several times as much.
"""

import asyncio
import math

from gateway.domain.errors import Reason
from gateway.ports import Clock, UpstreamFailure

SAID = {
    Reason.UPSTREAM_TIMEOUT_TTFT: "no first token within {0:g} s",
    Reason.UPSTREAM_TIMEOUT_IDLE: "nothing came for {0:g} s",
    Reason.UPSTREAM_TIMEOUT_TOTAL: "the answer was not complete in time",
}


class Alarm:
    """Goes off at the nearest deadline of all attempts that wait, or a little before it was the nearest."""

    __slots__ = ("_clock", "_handle", "at_s", "loop", "watched")

    def __init__(self, clock: Clock) -> None:
        self._clock, self.loop = clock, asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self.at_s = math.inf
        """When it goes off, clock seconds; never after the deadline of an attempt that waits."""
        self.watched: dict[Clocks, None] = {}
        """Attempts under way, waiting or not."""

    def set(self, at_s: float, now_s: float) -> None:
        """Go off at another time."""
        self.stop()
        self.at_s = at_s
        self._handle = self.loop.call_later(self._clock.real_s(at_s - now_s), self._ring)

    def stop(self) -> None:
        """Let the timer go."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.at_s = math.inf

    def _ring(self) -> None:
        self._handle, self.at_s = None, math.inf
        now_s = self._clock.now_s()
        nearest_s = min([clocks.looked(now_s) for clocks in list(self.watched)], default=math.inf)
        if nearest_s < math.inf:
            self.set(nearest_s, now_s)


class Clocks:
    """Deadlines of one attempt, in the clock's seconds; belongs to the task that makes it."""

    __slots__ = (
        "_alarm", "_backend", "_cancels", "_clock", "_deadline_s", "_first_s", "_idle_s", "_is_waiting", "_reason", "_struck", "_task",
        "_total_s", "_ttft_s",
    )  # fmt: skip

    def __init__(self, clock: Clock, backend: str, ttft_s: float, idle_s: float, total_s: float, alarm: Alarm | None = None) -> None:
        self._clock, self._backend = clock, backend
        self._alarm = alarm = alarm or Alarm(clock)
        task = asyncio.current_task(alarm.loop)  # Not told the loop, asyncio asks the kernel for the process's id to find it.
        assert task is not None
        self._task = task
        now_s = clock.now_s()
        self._ttft_s, self._idle_s = ttft_s, idle_s
        self._first_s: float | None = now_s + ttft_s
        """When the first token is due; None once it is there."""
        self._total_s = now_s + total_s
        self._deadline_s, self._reason = math.inf, Reason.UPSTREAM_TIMEOUT_TOTAL
        self._is_waiting, self._struck, self._cancels = False, False, 0
        alarm.watched[self] = None

    def wait(self) -> None:
        """Note that the task now waits for the backend.

        Raises: UpstreamFailure when time ran out while it did something else.
        """
        now_s = self._clock.now_s()
        if self._first_s is not None:
            deadline_s, reason = self._first_s, Reason.UPSTREAM_TIMEOUT_TTFT
        else:
            deadline_s, reason = now_s + self._idle_s, Reason.UPSTREAM_TIMEOUT_IDLE
        if self._total_s <= deadline_s:
            deadline_s, reason = self._total_s, Reason.UPSTREAM_TIMEOUT_TOTAL
        self._deadline_s, self._reason, self._is_waiting = deadline_s, reason, True
        if deadline_s <= now_s:
            raise self.failure()
        self._cancels = self._task.cancelling()
        if deadline_s < self._alarm.at_s:
            self._alarm.set(deadline_s, now_s)

    def waited(self) -> None:
        """Note that the backend has answered."""
        self._is_waiting = False

    def first_token_came(self) -> None:
        """From now on the idle clock runs instead of the first token's."""
        self._first_s = None

    def has_struck(self) -> bool:
        """Say, for a CancelledError that was just caught, whether it came from here alone; takes it back if so."""
        return self._struck and self._task.uncancel() <= self._cancels

    def failure(self) -> UpstreamFailure:
        """Return the failure for the deadline that passed."""
        limit_s = self._ttft_s if self._reason is Reason.UPSTREAM_TIMEOUT_TTFT else self._idle_s
        return UpstreamFailure(self._reason, f"backend {self._backend}: {SAID[self._reason].format(limit_s)}")

    def stop(self) -> None:
        """Be watched no more."""
        self._is_waiting = False
        self._alarm.watched.pop(self, None)

    def looked(self, now_s: float) -> float:
        """Strike when the deadline has passed; return when to look again: inf while nobody waits, since the next `wait` sees to it."""
        if not self._is_waiting:
            return math.inf
        # Timers may go off a clock tick early.
        if now_s < self._deadline_s - 0.001:
            return self._deadline_s
        self._struck, self._is_waiting = True, False
        self._task.cancel()
        return math.inf
