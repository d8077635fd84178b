"""ITL: which streams count, and when text came fast enough."""

import pytest

from gateway.core.budget.slis.itl import Itl
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome, Timeline
from gateway.domain.expectation import Expectation

SLI = Itl(Itl.Options(first_token=1.0, tokens_per_s=10.0, max_stall=2.0))


def streamed(qoe: float, stall_s: float = 0.5, reason: Reason = Reason.SERVED) -> Outcome:
    return Outcome(reason, "m", 0.4, 3.0, was_streamed=True, timelines=(Timeline(9.0, 9.0, 0.0), Timeline(1.0, 10.0, qoe)), stall_s=stall_s)


@pytest.mark.parametrize(
    ("qoe", "stall_s", "verdict"), [(1.0, 0.0, True), (0.95, 2.0, True), (0.949, 0.0, False), (1.0, 2.01, False), (0.0, 9.0, False)]
)
def test_an_answer_is_good_when_it_came_in_time_and_never_stalled(qoe: float, stall_s: float, verdict: bool) -> None:
    assert SLI.judge(streamed(qoe, stall_s)) is verdict


def test_its_own_timeline_is_what_counts() -> None:
    assert Itl(Itl.Options(9.0, 9.0, 2.0)).judge(streamed(1.0)) is False
    assert Itl(Itl.Options(2.0, 10.0, 2.0)).judge(streamed(1.0)) is None


@pytest.mark.parametrize("reason", Reason)
def test_an_answer_without_content_is_no_event_whatever_ended_it(reason: Reason) -> None:
    assert SLI.judge(Outcome(reason, "m", 0.3, was_streamed=True)) is None


@pytest.mark.parametrize("reason", [Reason.UPSTREAM_CUT, Reason.UPSTREAM_TIMEOUT_IDLE, Reason.SHUTTING_DOWN, Reason.INTERNAL])
def test_giving_up_a_slow_stream_does_not_polish_the_figure(reason: Reason) -> None:
    assert SLI.judge(streamed(1.0, reason=reason)) is False


def test_where_a_client_left_what_it_had_seen_is_judged() -> None:
    assert SLI.judge(streamed(1.0, 0.2, Reason.CLIENT_CANCELLED)) is True
    assert SLI.judge(streamed(1.0, 8.0, Reason.CLIENT_CANCELLED)) is False


def test_the_risk_is_a_timeline_that_is_missed() -> None:
    assert Itl.risk(Expectation("m", 0.5, 0.9, 0.07, 0.004, 10, 0.2)) == 0.2


def test_nonsense_is_named_at_its_key() -> None:
    assert [path for path, _ in Itl.Options(1.0, 0.0, 2.0, 0.0).wrong()] == [("tokens_per_s",), ("at_least",)]
    assert list(SLI.options.wrong()) == []
