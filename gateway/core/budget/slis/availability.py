"""Availability: did the client get a whole answer?

Theory: the event is the client-visible request; retries and fallbacks inside it count once. What is no event is a closed
list (`EXCLUDED`): the client's own mistakes (400, 401, 403, 404, 405, 408, 413, 415, 422, 431), its own limits (429), and a
client that left before its deadline. Everything else that is not a whole answer is bad, also what a later build may add to
`Reason`: whoever adds a reason has to say here that it is no event. Our own sheds are bad, or else refusing would polish the
figure; a class whose contract exempts them is dealt with where the shed is booked. `limit_streams` is bad, too: it says 429, but
this process is full, not the client's share used up.
Source: Google SRE Workbook, "Implementing SLOs". Shown by `tests/unit/.../slis/test_availability.py`, reason by reason.
"""

from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.errors import CLIENT_CANCELLED, SERVED, Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation

EXCLUDED = frozenset(
    {
        Reason.UPSTREAM_REFUSED,
        Reason.BAD_REQUEST,
        Reason.BAD_JSON,
        Reason.AMBIGUOUS_REQUEST,
        Reason.MISSING_KEY,
        Reason.UNKNOWN_KEY,
        Reason.NOT_ALLOWED,
        Reason.UNKNOWN_MODEL,
        Reason.UNKNOWN_PATH,
        Reason.WRONG_METHOD,
        Reason.SLOW_REQUEST,
        Reason.BODY_TOO_LARGE,
        Reason.HEADERS_TOO_LARGE,
        Reason.CONTEXT_TOO_LONG,
        Reason.LIMIT_REQUESTS,
        Reason.LIMIT_TOKENS,
        Reason.LIMIT_USD,
    }
)


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
        reason = outcome.reason
        if reason is SERVED:
            return True
        if reason is CLIENT_CANCELLED:
            # Left although the first token was overdue: it is our lateness that the client voted on.
            return None if outcome.before_deadline else False
        return None if reason in EXCLUDED else False

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Probability that the attempt fails, 1 - a_m."""
        return 1.0 - expectation.success
