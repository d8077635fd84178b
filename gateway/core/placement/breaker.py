"""Breaker: whether one backend may be given requests of one model.

Theory: three states, moved by verdicts on requests, by health probes and by time alone (no draws, so that two replays
of one log agree).

    closed     open after 3 failures in a row (2 when nothing could be reached at all), or 2 failed health probes in a
               row with no good answer between them
    open       nothing is sent. A positive health probe, or the passing of a wait (2 s, doubled with every failed trial,
               at most 30 s), makes it half-open
    half-open  one trial at a time, besides forced probes; one failure opens it again; 4 good answers (2 when a health
               probe has passed) close it and forget the waits

Rules that are easy to get wrong:

- The key is (backend, model): a broken model must not take its healthy neighbours on the same server with it, and one
  request counts once per backend however often it is retried there (the caller passes on its first failure only). Both
  were measured to black out a whole gateway elsewhere.
- A verdict on an attempt that was sent before the breaker last opened says nothing about the backend now: streams that
  die together with their backend must not close or re-open it half a minute later. Hence `sent_s`.
- A server can answer its health check and fail every completion. Once a trial that followed a passed probe has failed,
  probes no longer shorten the wait until the breaker has closed.
- Told to come back later (429) is not a failure: nothing is sent until then, the state stays.
- A trial whose verdict never comes blocks others for `TRIAL_S` at most.
"""

from enum import Enum

FAILURES_MAX, UNREACHABLE_MAX, PROBES_MAX = 3, 2, 2
CLOSE_AFTER, CLOSE_AFTER_PROBED = 4, 2
WAIT_S_MIN, WAIT_S_MAX = 2.0, 30.0
TRIAL_S = 30.0


class BreakerState(Enum):
    """The value is the label in metrics."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Breaker:
    """One (backend, model) pair's state; times are monotonic seconds."""

    __slots__ = (
        "_failures",
        "_good",
        "_is_disproved",
        "_is_probed",
        "_opened_s",
        "_probes_failed",
        "_trial_s",
        "_unreachable",
        "_until_s",
        "_wait_s",
        "limited_until_s",
        "state",
    )

    def __init__(self) -> None:
        self.state = CLOSED
        """As of the last call; an open breaker whose wait has passed becomes half-open when it is next asked."""
        self._failures = self._unreachable = self._probes_failed = self._good = 0
        self._wait_s = WAIT_S_MIN
        self._until_s = 0.0
        self.limited_until_s = 0.0
        """The backend asked to be left alone until then."""
        self._opened_s = float("-inf")
        self._trial_s: float | None = None
        self._is_probed = self._is_disproved = False

    def may_send(self, now_s: float, forced: bool = False) -> bool:
        """Whether a request may be sent now; a `forced` probe need not wait for the trial in flight."""
        if now_s < self.limited_until_s:
            return False
        if self.state is CLOSED:
            return True
        if self.state is OPEN:
            if now_s < self._until_s:
                return False
            self._half_open()
        return forced or self._trial_s is None or now_s - self._trial_s >= TRIAL_S

    def sent(self, now_s: float) -> None:
        """Take note of an attempt; in the half-open state it is the trial."""
        if self.state is HALF_OPEN:
            self._trial_s = now_s

    def succeeded(self, now_s: float, sent_s: float | None = None) -> None:
        """Count a good answer; `sent_s` is when the attempt was sent."""
        if self._is_stale(sent_s):
            return
        self._trial_s = None
        self._failures = self._unreachable = self._probes_failed = 0
        if self.state is HALF_OPEN:
            self._good += 1
            if self._good >= (CLOSE_AFTER_PROBED if self._is_probed else CLOSE_AFTER):
                self._close()

    def failed(self, now_s: float, unreachable: bool = False, sent_s: float | None = None) -> None:
        """Count a failure of the backend; `unreachable`: refused, no route, or no such host."""
        if self._is_stale(sent_s):
            return
        self._trial_s = None
        self._failures += 1
        self._unreachable = self._unreachable + 1 if unreachable else 0
        if self.state is HALF_OPEN:
            self._is_disproved = self._is_disproved or self._is_probed
            self._wait_s = min(2 * self._wait_s, WAIT_S_MAX)
            self._open(now_s)
        elif self.state is CLOSED and (self._failures >= FAILURES_MAX or self._unreachable >= UNREACHABLE_MAX):
            self._open(now_s)

    def released(self, sent_s: float | None = None) -> None:
        """End an attempt without a verdict: the client left, or the answer was its own fault."""
        if not self._is_stale(sent_s):
            self._trial_s = None

    def limited(self, until_s: float) -> None:
        """Send nothing until then: the backend said so, and is well."""
        self._trial_s = None
        self.limited_until_s = max(self.limited_until_s, until_s)

    def probed(self, ok: bool, now_s: float) -> None:
        """Take in the result of one health probe."""
        if not ok:
            self._probes_failed += 1
            self._is_probed = False
            if self._probes_failed >= PROBES_MAX and self.state is not OPEN:
                self._open(now_s)
            return
        self._probes_failed = 0
        if self.state is CLOSED or self._is_disproved:
            return
        if self.state is OPEN:
            self._half_open()
        self._is_probed = True

    def wait_s(self, now_s: float) -> float:
        """Seconds until a request may be tried again, as far as is known; 0 when one may be now."""
        open_s = self._until_s - now_s if self.state is OPEN else 0.0
        return max(open_s, self.limited_until_s - now_s, 0.0)

    def _is_stale(self, sent_s: float | None) -> bool:
        return sent_s is not None and sent_s < self._opened_s

    def _open(self, now_s: float) -> None:
        self.state, self._opened_s, self._until_s = OPEN, now_s, now_s + self._wait_s
        self._failures = self._unreachable = self._probes_failed = self._good = 0
        self._trial_s, self._is_probed = None, False

    def _half_open(self) -> None:
        self.state, self._good, self._trial_s, self._is_probed = HALF_OPEN, 0, None, False

    def _close(self) -> None:
        self.state, self._wait_s, self._is_probed, self._is_disproved = CLOSED, WAIT_S_MIN, False, False
