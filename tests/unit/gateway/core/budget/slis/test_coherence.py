"""Coherence: which turns count, and what breaks a conversation."""

import pytest

from gateway.core.budget.slis.coherence import Coherence
from gateway.domain.errors import Reason
from gateway.domain.event import Form, Outcome
from gateway.domain.expectation import Expectation

SLI = Coherence(Coherence.Options())


@pytest.mark.parametrize(("switch", "verdict"), [(None, None), (0, True), (1, True), (2, False), (7, False)])
def test_one_change_of_the_model_is_tolerable(switch: int | None, verdict: bool | None) -> None:
    assert SLI.judge(Outcome(Reason.SERVED, "m", switch=switch)) is verdict


def test_an_answer_that_was_cut_breaks_it() -> None:
    assert SLI.judge(Outcome(Reason.SERVED, "m", switch=0, form=Form.CUT)) is False
    assert SLI.judge(Outcome(Reason.SERVED, "m", switch=0, form=Form.WHOLE)) is True
    assert SLI.judge(Outcome(Reason.SERVED, "m", form=Form.CUT)) is None


@pytest.mark.parametrize("reason", [r for r in Reason if r is not Reason.SERVED])
def test_what_was_not_answered_belongs_to_availability(reason: Reason) -> None:
    assert SLI.judge(Outcome(reason, "m", switch=3)) is None


def test_the_risk_is_what_the_dispatcher_knows() -> None:
    assert Coherence.risk(Expectation("m", 0.5, 0.9, 0.0, 0.1, 10, 0.0, 1.0)) == 1.0
