"""Which prices one route's requests pay."""

import pytest

from gateway.core.pricing.terms import terms_of
from gateway.domain.prices import Price, Prices

PRICES = Prices(
    7, 3, "hash", 1000.0, "shadow_price",
    prices=(
        Price("spend", "cost", 1.0, 0.004),
        Price("spend-auto", "cost", 0.5, 0.001, route="auto"),
        Price("spend-chat", "cost", 9.0, 0.001, route="chat"),
        Price("availability", "availability", 0.3, 0.001),
        Price("auto-availability", "availability", 0.2, 0.01, route="auto"),
        Price("first-token", "ttft", 0.0, 0.05),
    ),
    mean_value=4.0, request_rate=5.0,
)  # fmt: skip


def test_of_one_kind_the_highest_counts_so_that_a_dollar_is_charged_once() -> None:
    # 0.5 per 0.001 is 500 per dollar, more than 1.0 per 0.004.
    assert dict(terms_of(PRICES, "auto").per_unit) == {"cost": 500.0, "availability": 0.3}


def test_a_route_without_objectives_of_its_own_pays_the_fleets() -> None:
    assert dict(terms_of(PRICES, "other").per_unit) == {"cost": 250.0, "availability": 0.3}
    assert dict(terms_of(PRICES, None).per_unit) == {"cost": 250.0, "availability": 0.3}


def test_a_price_of_zero_is_left_out() -> None:
    assert "ttft" not in dict(terms_of(PRICES, "auto").per_unit)


def test_the_rest_is_passed_on() -> None:
    terms = terms_of(PRICES, "auto")
    assert (terms.mean_value, terms.version, terms.fixed_threshold) == (4.0, 7, None)
    assert terms.probe_share == pytest.approx(0.02)  # 0.05/s of 5/s is 0.01; at least 0.02.
    quiet = Prices(1, 0, "", 0.0, "none", request_rate=0.0)
    assert terms_of(quiet, "auto").probe_share == pytest.approx(0.1)
