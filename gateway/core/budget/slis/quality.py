"""Quality: share of answers that a judge or a user found bad.

Theory: an answer's quality is only known from a verdict (`POST /v1/feedback`), late and for few. Verdicts are booked by
`Book.verdict`, not by `judge`, which only sees how a request ended: into the slot of the *request's* time, at most one per request,
for the tenant that asked. A verdict tells with which probability its request was picked for judging (`propensity`); it counts
1/propensity, so that answers that were seldom looked at are not seldom heard (Horvitz-Thompson), at most `WEIGHT_MAX`, or a
single verdict could drown all others. Verdicts of volunteers have no known propensity; theirs is then 1, and their bias stays.

Below `VERDICTS_MIN` verdicts the SLO reads "no data": 200 tell a share of 0.2 to about 0.06 (95 %). Control does not wait for that,
it has its own rule for little evidence. The risk of a candidate is the router's own prediction, 1 - q_m. That prediction is never
the SLO: what answers were expected to lose is shown beside it as `predicted`.

With `source: validity` every served answer gets an automatic verdict on its form instead (`wire/form.py`): bad is an empty one, one
that was cut at the context's end, or one that is not the JSON that was asked for, streamed or not.
Shown by the judge's conflict worlds, `tests/unit/.../slis/test_quality.py`, `tests/integration/gateway/test_verdicts.py`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from gateway.domain.errors import SERVED
from gateway.domain.event import WHOLE, Outcome
from gateway.domain.expectation import Expectation

VERDICTS_MIN = 200
WEIGHT_MAX = 20.0
"""Verdicts on less than a twentieth of the traffic count as if it were a twentieth."""


class Quality:
    """Good: a verdict that says so."""

    kind: ClassVar[str] = "quality"
    unit: ClassVar[str] = "mean request values per bad answer"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `sli` of kind quality."""

        source: Literal["verdicts", "validity"] = "verdicts"
        """Whose verdict counts: those of `POST /v1/feedback`, or an automatic one on the form of every answer."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, outcome: Outcome) -> bool | None:
        """Return the automatic verdict, where those count; else None: a verdict is booked when it arrives."""
        if self.options.source != "validity" or outcome.reason is not SERVED or outcome.form is None:
            return None
        return outcome.form is WHOLE

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Predicted probability of a bad answer, 1 - q_m."""
        return 1.0 - expectation.quality


def weight_of(propensity: float) -> float:
    """Return how much a verdict counts, for the probability with which its request was picked for judging, 0 < propensity <= 1."""
    return min(1.0 / propensity, WEIGHT_MAX)
