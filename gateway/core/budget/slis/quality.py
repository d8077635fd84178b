"""Quality: share of answers that a judge or a user found bad.

Theory: verdicts come late and for few requests, so the price moves slowly (window 30 min) and the risk of a candidate
is the router's own prediction, 1 - q_m. The verdicts are booked when they arrive, by request id (`/v1/feedback`), not
by `judge`, which only sees how a request ended. Shown by the judge's conflict worlds.
"""

from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation


class Quality:
    """Good: a verdict that says so."""

    kind: ClassVar[str] = "quality"
    unit: ClassVar[str] = "mean request values per bad answer"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Quality has nothing to choose yet."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, outcome: Outcome) -> bool | None:
        """Return None: a verdict is booked when it arrives."""
        return None

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Predicted probability of a bad answer, 1 - q_m."""
        return 1.0 - expectation.quality
