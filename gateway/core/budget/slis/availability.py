"""Availability: did the client get a whole answer?

Theory: the event is the client-visible request; retries and fallbacks inside it count once. What the client did wrong
is not a valid event (a closed list: `Fault.CLIENT` reasons), nor is a client that left before its deadline. Our own
sheds are bad, or else refusing would polish the figure; a class whose contract exempts them is dealt with where the
shed is booked. Source: Google SRE Workbook, "Implementing SLOs". Shown by `tests/unit/.../slis/test_availability.py`.
"""

from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.errors import Fault, Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation


class Availability:
    """Good: answered whole. Bad: a backend's or our own failure, sheds included."""

    kind: ClassVar[str] = "availability"
    unit: ClassVar[str] = "mean request values per failed request"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Availability has nothing to choose."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, outcome: Outcome) -> bool | None:
        """Return whether the client got its answer; None for what was the client's own doing."""
        if outcome.reason is Reason.SERVED:
            return True
        if outcome.reason is Reason.CLIENT_CANCELLED:
            # Left although the first token was overdue: it is our lateness that the client voted on.
            return None if outcome.before_deadline else False
        return None if outcome.reason.ending.fault is Fault.CLIENT else False

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Probability that the attempt fails, 1 - a_m."""
        return 1.0 - expectation.success
