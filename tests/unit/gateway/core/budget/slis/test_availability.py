"""Availability: which endings count, and how."""

import pytest

from gateway.core.budget.slis.availability import Availability
from gateway.domain.errors import ENDINGS, Fault, Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation

SLI = Availability(Availability.Options())


def test_a_whole_answer_is_good_however_many_attempts_it_took() -> None:
    assert SLI.judge(Outcome(Reason.SERVED, "m", attempts=1)) is True
    assert SLI.judge(Outcome(Reason.SERVED, "m", attempts=3)) is True


@pytest.mark.parametrize("reason", [r for r, e in ENDINGS.items() if e.fault in (Fault.BACKEND, Fault.US)])
def test_our_own_and_our_backends_failures_are_bad(reason: Reason) -> None:
    assert SLI.judge(Outcome(reason, None)) is False


@pytest.mark.parametrize("reason", [r for r, e in ENDINGS.items() if e.fault is Fault.CLIENT and r is not Reason.CLIENT_CANCELLED])
def test_a_clients_mistake_is_no_event(reason: Reason) -> None:
    assert SLI.judge(Outcome(reason, None)) is None


def test_sheds_are_bad_or_refusing_would_polish_the_figure() -> None:
    assert SLI.judge(Outcome(Reason.SHED_OVERLOAD, None)) is False
    assert SLI.judge(Outcome(Reason.SHED_DEADLINE, None)) is False


def test_a_client_that_leaves_after_its_deadline_has_voted() -> None:
    assert SLI.judge(Outcome(Reason.CLIENT_CANCELLED, None, before_deadline=True)) is None
    assert SLI.judge(Outcome(Reason.CLIENT_CANCELLED, None, before_deadline=False)) is False


def test_the_risk_is_that_the_attempt_fails() -> None:
    assert Availability.risk(Expectation("m", 0.5, 0.75, 0.1, 1.0, 10)) == 0.25
