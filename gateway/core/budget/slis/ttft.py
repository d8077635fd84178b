"""TTFT: did the first token come in time?

Theory: the event is a streamed, served request; the clock runs from the request fully read to the first *content*
(a role-only delta or a comment is not a token), so our own queue and router time are inside. Requests that were not
streamed have no first token and are not valid.

Prefill takes time in proportion to the prompt, so one limit for all lengths either is loose for short prompts, or makes long ones
bad whatever is done for them. With `bins`, prompts up to a length have a limit of their own, and the risk of a candidate is
the probability to miss the limit of *this* request. The judge goes by the tokens that the backend reported, the risk by the estimate
at arrival; near a bound the two may take neighbouring bins. Shown by `tests/unit/.../slis/test_ttft.py`.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from gateway.core.budget.sli import Wrong
from gateway.domain.errors import SERVED
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation
from gateway.domain.units import Count, Seconds


@dataclass(frozen=True, slots=True)
class Bin:
    """Prompts up to a length, and their own limit."""

    prompt_tokens: Count
    """Longest prompt of this bin, tokens; shorter ones belong to the bins before it."""
    at_most: Seconds
    """Latest good time to first token of this bin. Raising it makes more requests good."""


class Ttft:
    """Good: first content within `at_most`, or within the limit of the prompt's bin."""

    kind: ClassVar[str] = "ttft"
    unit: ClassVar[str] = "mean request values per late request"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `sli` of kind ttft."""

        at_most: Seconds
        """Latest good time to first token; with `bins`, of prompts longer than the last of them. Raising it makes more requests good."""
        bins: tuple[Bin, ...] = ()
        """Limits of shorter prompts, by length, shortest first; none: one limit for all."""

        def wrong(self) -> Iterator[Wrong]:
            """Yield what an operator should know is wrong."""
            for i, (shorter, longer) in enumerate(pairwise(self.bins), 1):
                if longer.prompt_tokens <= shorter.prompt_tokens:
                    yield ("bins", i, "prompt_tokens"), f"not longer than the bin before it ({shorter.prompt_tokens} tokens)"

    def __init__(self, options: Options) -> None:
        self.options = options
        self._lengths = [b.prompt_tokens for b in options.bins]
        self._limits_s = [*(b.at_most for b in options.bins), options.at_most]

    def limit_s(self, prompt_tokens: int) -> float:
        """Return the latest good time to first token of a prompt."""
        return self._limits_s[bisect_left(self._lengths, prompt_tokens)]

    def judge(self, outcome: Outcome) -> bool | None:
        """Return whether the first token was in time; None without one."""
        if outcome.ttft_s is None or not outcome.was_streamed or outcome.reason is not SERVED:
            return None
        if not self._lengths:
            return outcome.ttft_s <= self._limits_s[0]
        return outcome.ttft_s <= self.limit_s(outcome.prompt_tokens)

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Probability that the first token is later than the limit of this request."""
        return expectation.late
