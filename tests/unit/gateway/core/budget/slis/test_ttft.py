"""TTFT: which requests have a first token, and when it is in time."""

import pytest

from gateway.core.budget.slis.ttft import Bin, Ttft
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


BINNED = Ttft(Ttft.Options(at_most=8.0, bins=(Bin(2000, 1.0), Bin(8000, 2.5))))


@pytest.mark.parametrize(
    ("prompt_tokens", "limit_s"), [(0, 1.0), (1, 1.0), (2000, 1.0), (2001, 2.5), (8000, 2.5), (8001, 8.0), (1_000_000, 8.0)]
)
def test_a_prompt_has_the_limit_of_its_length(prompt_tokens: int, limit_s: float) -> None:
    assert BINNED.limit_s(prompt_tokens) == limit_s
    on_time = Outcome(Reason.SERVED, "m", limit_s, 9.0, prompt_tokens, was_streamed=True)
    late = Outcome(Reason.SERVED, "m", limit_s + 1e-6, 9.0, prompt_tokens, was_streamed=True)
    assert BINNED.judge(on_time) is True and BINNED.judge(late) is False


def test_bins_are_written_shortest_first() -> None:
    wrong = Ttft.Options(8.0, (Bin(2000, 1.0), Bin(2000, 2.0), Bin(1000, 3.0))).wrong()
    assert [path for path, _ in wrong] == [("bins", 1, "prompt_tokens"), ("bins", 2, "prompt_tokens")]
    assert list(BINNED.options.wrong()) == list(SLI.options.wrong()) == []
