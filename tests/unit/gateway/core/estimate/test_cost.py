"""Dollars, expected and billed."""

import pytest

from gateway.core.estimate.cost import billed_usd
from gateway.domain.catalog import Tariff
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome

TARIFF = Tariff(2.0, 10.0, cached_input_usd_per_mtok=0.5)


def test_billed_dollars_count_cached_tokens_at_their_own_price() -> None:
    outcome = Outcome(Reason.SERVED, "strong", prompt_tokens=1000, completion_tokens=200, cached_tokens=600)
    assert billed_usd(TARIFF, outcome) == pytest.approx(0.0008 + 0.0003 + 0.002)


def test_a_report_of_more_cached_than_prompt_tokens_is_not_a_credit() -> None:
    outcome = Outcome(Reason.SERVED, "strong", prompt_tokens=100, cached_tokens=600)
    assert billed_usd(TARIFF, outcome) == pytest.approx(0.00005)


def test_a_known_bill_is_believed() -> None:
    assert billed_usd(TARIFF, Outcome(Reason.SERVED, "strong", prompt_tokens=1000, billed_usd=0.0)) == 0.0


def test_reasoning_is_billed_once_with_the_completion_it_is_part_of() -> None:
    silent = Outcome(Reason.SERVED, "strong", prompt_tokens=1000, completion_tokens=200)
    thinking = Outcome(Reason.SERVED, "strong", prompt_tokens=1000, completion_tokens=200, reasoning_tokens=150)
    assert billed_usd(TARIFF, thinking) == billed_usd(TARIFF, silent)
