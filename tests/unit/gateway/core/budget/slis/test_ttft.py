"""TTFT: which requests have a first token, and when it is in time."""

import pytest

from gateway.core.budget.slis.ttft import Ttft
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation

SLI = Ttft(Ttft.Options(at_most=1.0))


def streamed(ttft_s: float | None, reason: Reason = Reason.SERVED) -> Outcome:
    return Outcome(reason, "m", ttft_s, 3.0, was_streamed=True)


@pytest.mark.parametrize(("ttft_s", "verdict"), [(0.2, True), (1.0, True), (1.000_001, False), (60.0, False)])
def test_a_first_token_on_the_limit_is_still_in_time(ttft_s: float, verdict: bool) -> None:
    assert SLI.judge(streamed(ttft_s)) is verdict


def test_an_answer_without_a_first_token_is_no_event() -> None:
    assert SLI.judge(streamed(None)) is None
    assert SLI.judge(Outcome(Reason.SERVED, "m", 0.3, was_streamed=False)) is None


def test_a_request_that_failed_belongs_to_availability_alone() -> None:
    assert SLI.judge(streamed(0.3, Reason.UPSTREAM_CUT)) is None
    assert SLI.judge(streamed(5.0, Reason.CLIENT_CANCELLED)) is None


def test_the_risk_is_a_late_first_token() -> None:
    assert Ttft.risk(Expectation("m", 0.5, 0.9, 0.07, 0.004, 10)) == 0.07
