"""ITL: did the tokens come as fast as people read?

Theory: neither the mean nor a percentile of the pauses between chunks says what a reader feels, since chunks are not tokens and a
pause does no harm while there is still text to read. What counts is the delivered text against an expected timeline: the first token
by `first_token`, then `tokens_per_s`. An answer is good when its quality of experience (`wire/pace.py`: 1 minus mean lateness over
mean expected time) is at least `at_least` and no pause was longer than `max_stall`.

Valid are streamed answers that brought content. One that was broken off by a backend or by us is bad, or giving up slow streams would
polish the figure; where a client left, what it had seen until then is judged, with the pause in which it left.
The risk of a candidate is learned: how many of the last answers of that model on that route missed their timeline.
Source: Andes, arXiv:2404.16283; how such objectives are gamed: arXiv:2410.14257. Shown by `tests/unit/.../slis/test_itl.py`,
`tests/property/gateway/wire/test_pace.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from gateway.core.budget.sli import Wrong
from gateway.domain.errors import CLIENT_CANCELLED, SERVED
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation
from gateway.domain.units import Ratio, Seconds


class Itl:
    """Good: the timeline was kept, and nothing stalled."""

    kind: ClassVar[str] = "itl"
    unit: ClassVar[str] = "mean request values per answer that came too slowly"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `sli` of kind itl."""

        first_token: Seconds
        """Where the expected timeline begins, after the request was read. Raising it forgives slower starts."""
        tokens_per_s: float
        """Pace of the expected timeline; people read 4 to 6 tokens a second. Raising it asks for faster answers."""
        max_stall: Seconds
        """Longest good pause between two pieces of content. Raising it makes more answers good."""
        at_least: Ratio = 0.95
        """Least good quality of experience: 0.95 allows tokens to be late by a twentieth of their expected time, on average."""

        def wrong(self) -> Iterator[Wrong]:
            """Yield what an operator should know is wrong."""
            if self.tokens_per_s <= 0:
                yield ("tokens_per_s",), "a pace must be more than 0 tokens a second"
            if self.at_least <= 0:
                yield ("at_least",), "0 makes every answer good; write a number between 0 and 1"

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def expected(self) -> tuple[float, float]:
        """Seconds to the first token, and tokens per second, of the expected timeline."""
        return self.options.first_token, self.options.tokens_per_s

    def judge(self, outcome: Outcome) -> bool | None:
        """Return whether the timeline was kept; None without content, or when nobody watched."""
        expected = self.expected
        for kept in outcome.timelines:
            if (kept.first_token_s, kept.tokens_per_s) == expected:
                if outcome.reason is not SERVED and outcome.reason is not CLIENT_CANCELLED:
                    return False
                return kept.qoe >= self.options.at_least and outcome.stall_s <= self.options.max_stall
        return None

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Probability that the answer comes too slowly."""
        return expectation.stall
