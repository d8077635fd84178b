"""What became of a request."""

from gateway.domain.errors import Reason
from gateway.domain.event import NANO, Outcome


def test_a_dollar_is_a_billion_nano_dollars() -> None:
    assert NANO == 10**9
    assert round(1 * 0.01 / 1_000_000 * NANO) == 10  # One token at a cent per million still counts.


def test_an_outcome_assumes_one_attempt_that_was_not_streamed_nor_estimated() -> None:
    outcome = Outcome(Reason.SERVED, "m")
    assert (outcome.attempts, outcome.was_streamed, outcome.is_estimated, outcome.before_deadline) == (1, False, False, True)
    assert outcome.ttft_s is None and outcome.billed_usd is None  # Unknown, not zero.


def test_what_nobody_looked_at_is_unknown() -> None:
    outcome = Outcome(Reason.SERVED, "m")
    assert outcome.timelines == () and outcome.form is None and outcome.switch is None and outcome.reasoning_tokens == 0
