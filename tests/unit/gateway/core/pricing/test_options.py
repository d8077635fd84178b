"""Tests of the pricing options."""

import pytest

from gateway.core.pricing.laws.static import StaticLaw
from gateway.core.pricing.options import PricingOptions


def test_budgets_are_judged_every_five_seconds_unless_written() -> None:
    assert PricingOptions("static", StaticLaw.Options(0.4), ("a",)).tick == 5.0


def test_options_do_not_change_under_a_running_governor() -> None:
    options = PricingOptions("static", StaticLaw.Options(0.4), ())
    with pytest.raises(AttributeError):
        options.tick = 1.0  # type: ignore[misc]
