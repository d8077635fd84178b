"""Cost: dollars are amounts, not events."""

import pytest

from gateway.core.budget.slis.cost import Cost
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation


@pytest.mark.parametrize("reason", Reason)
def test_no_request_is_a_good_or_bad_event_of_cost(reason: Reason) -> None:
    assert Cost(Cost.Options(5.0)).judge(Outcome(reason, "m", 0.1, billed_usd=100.0)) is None


def test_the_risk_is_the_expected_dollars() -> None:
    assert Cost.risk(Expectation("m", 0.5, 0.9, 0.1, 0.0042, 10)) == 0.0042


def test_nothing_is_forecast_unless_written() -> None:
    options = Cost.Options(5000.0)
    assert (options.usd, options.forecast_requests, options.forecast_hourly) == (5000.0, None, None)
