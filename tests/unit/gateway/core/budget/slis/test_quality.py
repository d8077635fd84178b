"""Quality: verdicts come later, from somebody else."""

import pytest

from gateway.core.budget.slis.quality import WEIGHT_MAX, Quality, weight_of
from gateway.domain.errors import Reason
from gateway.domain.event import Form, Outcome
from gateway.domain.expectation import Expectation


@pytest.mark.parametrize("reason", Reason)
def test_how_a_request_ended_says_nothing_about_its_answer(reason: Reason) -> None:
    assert Quality(Quality.Options()).judge(Outcome(reason, "m", 0.1)) is None


def test_the_risk_is_the_predicted_share_of_bad_answers() -> None:
    assert Quality.risk(Expectation("m", 0.85, 0.9, 0.1, 0.004, 10)) == pytest.approx(0.15)


def test_with_automatic_verdicts_every_served_answer_is_judged_by_its_form() -> None:
    sli = Quality(Quality.Options("validity"))
    assert sli.judge(Outcome(Reason.SERVED, "m", form=Form.WHOLE)) is True
    assert [sli.judge(Outcome(Reason.SERVED, "m", form=form)) for form in (Form.EMPTY, Form.CUT, Form.NOT_JSON)] == [False] * 3
    assert sli.judge(Outcome(Reason.SERVED, "m")) is None and sli.judge(Outcome(Reason.UPSTREAM_CUT, None, form=Form.EMPTY)) is None


def test_a_verdict_counts_as_often_as_its_request_was_likely_to_be_passed_over() -> None:
    assert [weight_of(p) for p in (1.0, 0.5, 0.05)] == [1.0, 2.0, 20.0] and weight_of(0.0001) == WEIGHT_MAX
