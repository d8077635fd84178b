"""Drain: how fast a model's backends take prompt tokens of each class while requests wait for them.

Theory: the prefill rate learned from first tokens is what an engine does when nothing else limits it; decoding, memory
and request slots take their part under load. So the tokens that went to backends are divided by the time during which
somebody waited, both fading with a time constant of 30 s of such time, and steadied by 2 s worth of the prefill rate.

A waiting request is overtaken by better classes that come later, so what is left to its class is

    available(rank) = tokens/s of all classes - tokens/s of strictly better classes

and its wait is what is ahead of it now over that: the waiting-time estimate of QLM ("request waiting time") with the
priority correction of queueing theory. A class that better ones starve has next to nothing available, and is told so on
arrival instead of at its deadline. Source: reference/serving_systems.md section 3.1.
"""

MEMORY_S = 30.0
PRIOR_S = 2.0
AVAILABLE_MIN = 0.02
"""Share of the whole rate that a starved class is credited with, so that its estimate stays finite."""


class Drain:
    """One model's rates; times are monotonic seconds, rank 0 is the best class."""

    __slots__ = ("_busy_s", "_since_s", "_tokens")

    def __init__(self) -> None:
        self._tokens: dict[int, float] = {}
        self._busy_s = 0.0
        self._since_s: float | None = None
        """Last time counted, while requests wait; None while none does."""

    def waiting(self, now_s: float) -> None:
        """Requests wait from now on, if they did not before."""
        if self._since_s is None:
            self._since_s = now_s

    def sent(self, rank: int, tokens: int, now_s: float) -> None:
        """Count what a backend took, from the queue or past it, while others wait; else it is no evidence."""
        if self._since_s is not None:
            self._pass(now_s)
            self._tokens[rank] = self._tokens.get(rank, 0.0) + tokens

    def rest(self, now_s: float) -> None:
        """Nobody waits any more."""
        if self._since_s is not None:
            self._pass(now_s)
            self._since_s = None

    def available(self, rank: int, prefill_tokens_per_s: float) -> float:
        """Return the tokens per second left to a class; `prefill_tokens_per_s` is what the backends' first tokens say."""
        whole = prefill_tokens_per_s * PRIOR_S
        left = whole
        for r, tokens in self._tokens.items():
            whole += tokens
            if r >= rank:
                left += tokens
        return max(left, AVAILABLE_MIN * whole) / (self._busy_s + PRIOR_S)

    def _pass(self, now_s: float) -> None:
        since_s = now_s if self._since_s is None else self._since_s
        passed_s = max(now_s - since_s, 0.0)
        self._since_s = now_s
        keep = max(1.0 - passed_s / MEMORY_S, 0.0)
        self._busy_s = self._busy_s * keep + min(passed_s, MEMORY_S)
        for rank in self._tokens:
            self._tokens[rank] *= keep
