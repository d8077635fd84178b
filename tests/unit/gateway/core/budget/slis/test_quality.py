"""Quality: verdicts come later, from somebody else."""

import pytest

from gateway.core.budget.slis.quality import Quality
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation


@pytest.mark.parametrize("reason", Reason)
def test_how_a_request_ended_says_nothing_about_its_answer(reason: Reason) -> None:
    assert Quality(Quality.Options()).judge(Outcome(reason, "m", 0.1)) is None


def test_the_risk_is_the_predicted_share_of_bad_answers() -> None:
    assert Quality.risk(Expectation("m", 0.85, 0.9, 0.1, 0.004, 10)) == pytest.approx(0.15)
