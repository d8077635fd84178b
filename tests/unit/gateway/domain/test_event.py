from gateway.domain.errors import Reason
from gateway.domain.event import NANO, Outcome


def test_a_nano_dollar_counts_the_cheapest_token_there_is():
    assert round(1 * 0.01 / 1_000_000 * NANO) == 10  # one token at a cent per million


def test_an_outcome_says_by_default_that_nothing_was_used():
    outcome = Outcome(Reason.NO_BACKEND, None)
    assert (outcome.prompt_tokens, outcome.completion_tokens, outcome.attempts, outcome.ttft_s, outcome.billed_usd) == (0, 0, 1, None, None)
    assert outcome.before_deadline and not outcome.is_estimated and not outcome.was_streamed
