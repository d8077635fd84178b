import json

import pytest

from gateway.domain.prices import Overrides, Price, Prices

PRICES = Prices(
    version=7,
    fencing_token=3,
    config_hash="abc",
    made_wall_s=1.5e9,
    law="shadow_price",
    prices=(Price("spend", "cost", 0.5, 0.002), Price("late", "ttft", 2.0, 0.05, route="auto")),
    mean_value=2.9,
    factors={"strong": 1.25},
    alpha_ref={"auto": 0.4},
    mode="thrifty",
    infeasible=("quality",),
    exhausted=("spend",),
    request_rate=5.5,
)


def test_published_prices_come_back_from_json_as_they_were():
    assert Prices.of_json(json.loads(json.dumps(PRICES.as_json()))) == PRICES


def test_a_dollar_costs_the_price_of_an_allowance_over_its_size_and_a_bad_event_the_price_itself():
    assert PRICES.prices[0].per_unit == pytest.approx(250.0)
    assert PRICES.prices[1].per_unit == 2.0


def test_prices_of_a_newer_schema_are_refused():
    with pytest.raises(ValueError, match="schema 99"):
        Prices.of_json({**PRICES.as_json(), "schema": 99})


def test_a_missing_field_is_an_error_and_not_a_default():
    data = PRICES.as_json()
    del data["prices"]
    with pytest.raises(KeyError):
        Prices.of_json(data)


def test_nothing_is_pinned_or_frozen_unless_somebody_did():
    assert Overrides().pins == {} and Overrides().frozen_until_wall_s == 0.0
