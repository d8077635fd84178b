"""Health: how likely a model's next attempt is to succeed, and its first token to be late.

Theory: averages over samples, not over time, so that a quiet model keeps what is known of it: success over the last 10
attempts or so, lateness over the last 20 good ones. Four good attempts in a row restore success to HEALTHY at once:
after a repair the average would otherwise take some 25 attempts to say so, at a time when few are sent. Twelve first tokens
in time in a row do the same for lateness: of a model of which 4 in 10 are late, that happens once in 500 attempts. A sick
model would be priced out and never seen again; `probe_share` is the share of requests that must go there all the same.
Source: `judge/README.md`, point 9, and the `Health` of its reference laws, whose behaviour this equals but for lateness's twelve.
"""

from math import inf

HEALTHY = 0.999
LATE_START = 0.001
SUCCESS_SAMPLES, LATE_SAMPLES = 10.0, 20.0
CLOSE_AFTER, IN_TIME_AFTER = 4, 12
SICK_BELOW, LATE_ABOVE = 0.9, 0.1
PROBES_PER_S, PROBE_SHARE_MIN, PROBE_SHARE_MAX = 0.05, 0.02, 0.1


class Health:
    """One model's prospects as seen by this process."""

    __slots__ = ("_in_time", "_streak", "late", "success")

    def __init__(self) -> None:
        self.success = HEALTHY
        """Probability that an attempt succeeds, 0..1."""
        self.late = LATE_START
        """Probability that a good attempt's first token is later than the ttft SLO allows, 0..1."""
        self._streak = self._in_time = 0

    def settle(self, ok: bool, late: bool | None) -> None:
        """Take in one attempt's end; `late` None: the first token was not timed. A failure says nothing of lateness."""
        self._streak = self._streak + 1 if ok else 0
        self.success = HEALTHY if self._streak == CLOSE_AFTER else self.success + (ok - self.success) / SUCCESS_SAMPLES
        if ok and late is not None:
            self._in_time = 0 if late else self._in_time + 1
            self.late = LATE_START if self._in_time == IN_TIME_AFTER else self.late + (late - self.late) / LATE_SAMPLES

    @property
    def is_sick(self) -> bool:
        """Whether forced probes are due."""
        return self.success < SICK_BELOW or self.late > LATE_ABOVE


def probe_share(request_rate: float) -> float:
    """Return the share of requests forced to a sick model, for `request_rate` requests per second: about one in 20 s."""
    wanted = PROBES_PER_S / request_rate if request_rate > 0 else inf
    return min(max(wanted, PROBE_SHARE_MIN), PROBE_SHARE_MAX)
