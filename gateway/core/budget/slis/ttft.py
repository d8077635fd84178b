"""TTFT: did the first token come in time?

Theory: the event is a streamed, served request; the clock runs from the request fully read to the first *content*
(a role-only delta or a comment is not a token), so our own queue and router time are inside. Requests that were not
streamed have no first token and are not valid. Shown by `tests/unit/.../slis/test_ttft.py`.
"""

from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation
from gateway.domain.units import Seconds


class Ttft:
    """Good: first content within `at_most`."""

    kind: ClassVar[str] = "ttft"
    unit: ClassVar[str] = "mean request values per late request"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `sli` of kind ttft."""

        at_most: Seconds
        """Latest good time to first token. Raising it makes more requests good."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, outcome: Outcome) -> bool | None:
        """Return whether the first token was in time; None without one."""
        if outcome.ttft_s is None or not outcome.was_streamed or outcome.reason is not Reason.SERVED:
            return None
        return outcome.ttft_s <= self.options.at_most

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Probability that the first token is late."""
        return expectation.late
