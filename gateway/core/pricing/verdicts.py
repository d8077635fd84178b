"""What verdicts say about predictions: the factor by which predicted bad answers are multiplied.

Theory. A quality budget counts bad answers, and only some answers are ever judged. When a tenth is, a day of 170,000 requests with
a bad ratio of 0.17 is known to 1.6 %, as much as prices can do about it. The router's own prediction is there for every request,
almost without noise, but may be wrong. So the law goes by the prediction, and by verdicts as far as they contradict it:

    off = bad / (valid * predicted/scored) - 1          what verdicts say beyond the prediction
    se  = sqrt((1 - p) / (valid p)),  p = predicted/scored
    factor = 1 + sign(off) * max(|off| - 2 se, 0)

a soft threshold: noise alone moves nothing in 19 of 20 cases, a router that is wrong by more than its verdicts' noise is
corrected, all the more the longer it is watched. What is left of an error is at most 2 se. The SLO itself, what people see and
are paged for, goes by verdicts alone. Assumes that the judged answers are a fair sample.

Source: the difference estimator of reference/control_and_budgets.md section 2, with the soft threshold of Donoho and Johnstone
(1994). Shown by `tests/unit/.../test_verdicts.py` and the judge's conflict worlds.
"""

from math import copysign, sqrt

SURE = 2.0
"""Standard errors that verdicts must be away from the prediction before they count."""


def factor(bad: float, valid: float, predicted: float, scored: float) -> float:
    """Return what predicted bad answers are to be multiplied with, at least 0; 1 without evidence.

    Args:
        bad, valid: verdicts.
        predicted, scored: predicted bad answers, and the number of requests that they were predicted for.
    """
    expected = valid * predicted / scored if scored > 0 else 0.0
    if expected <= 0:
        return 1.0
    off = bad / expected - 1.0
    error = sqrt((1.0 - min(predicted / scored, 1.0)) / expected)
    return max(1.0 + copysign(max(abs(off) - SURE * error, 0.0), off), 0.0)
