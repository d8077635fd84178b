"""Drain: how fast a model's backends take prompt tokens while requests wait for them.

Theory: the prefill rate learned from first tokens is what an engine does when nothing else limits it; decoding, memory
and request slots take their part under load. So the tokens that left the queue are divided by the time during which
the queue was not empty, both fading with a time constant of 30 s of such time, and steadied by 2 s worth of the prefill
rate. Together with the tokens ahead this is the waiting-time estimate of QLM ("request waiting time"): known mean
lengths are enough for it, R² 0.945 in our engine model. Source: reference/serving_systems.md section 3.1.
"""

MEMORY_S = 30.0
PRIOR_S = 2.0


class Drain:
    """One model's rate; times are monotonic seconds."""

    __slots__ = ("_busy_s", "_since_s", "_tokens")

    def __init__(self) -> None:
        self._tokens = self._busy_s = 0.0
        self._since_s: float | None = None
        """Last time counted, while requests wait; None while none does."""

    def waiting(self, now_s: float) -> None:
        """Requests wait from now on, if they did not before."""
        if self._since_s is None:
            self._since_s = now_s

    def left(self, tokens: int, now_s: float, is_empty: bool) -> None:
        """Count tokens that left the queue for a backend; `is_empty`: it was the last request."""
        if self._since_s is not None:
            passed_s = max(now_s - self._since_s, 0.0)
            keep = max(1.0 - passed_s / MEMORY_S, 0.0)
            self._busy_s = self._busy_s * keep + min(passed_s, MEMORY_S)
            self._tokens = self._tokens * keep + tokens
        self._since_s = None if is_empty else now_s

    def tokens_per_s(self, prefill_tokens_per_s: float) -> float:
        """Return the expected rate; `prefill_tokens_per_s` is what the backends' first tokens say."""
        return (self._tokens + prefill_tokens_per_s * PRIOR_S) / (self._busy_s + PRIOR_S)
