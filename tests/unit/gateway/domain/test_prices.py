"""Published prices, and their way through JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.prices import Overrides, Pin, Price, Prices

numbers = st.floats(0, 1e6)
words = st.text(max_size=6)
named = st.dictionaries(words, numbers, max_size=3)
names = st.lists(words, max_size=2).map(tuple)
price = st.builds(Price, words, st.sampled_from(["cost", "ttft"]), numbers, numbers, st.none() | words)
prices = st.builds(
    Prices,
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    words,
    numbers,
    st.sampled_from(["static", "shadow_price"]),
    st.lists(price, max_size=4).map(tuple),
    numbers,
    st.none() | st.floats(0, 1),
    named,
    named,
    st.sampled_from(["green", "scarce"]),
    names,
    names,
    numbers,
    st.dictionaries(words, named, max_size=2),
)


@given(prices)
def test_prices_come_back_from_json_as_they_were(made: Prices) -> None:
    assert Prices.of_json(json.loads(json.dumps(made.as_json()))) == made


def test_prices_of_a_newer_schema_are_refused_rather_than_misread() -> None:
    data = Prices(1, 1, "h", 0.0, "static").as_json()
    with pytest.raises(ValueError, match="schema 2"):
        Prices.of_json({**data, "schema": 2})
    with pytest.raises(ValueError, match="schema None"):
        Prices.of_json({})


def test_a_missing_field_is_an_error() -> None:
    data = Prices(1, 1, "h", 0.0, "static").as_json()
    del data["prices"]
    with pytest.raises(KeyError):
        Prices.of_json(data)


def test_dollars_are_charged_per_dollar_and_events_per_event() -> None:
    assert Price("spend", "cost", 0.5, 0.01).per_unit == pytest.approx(50.0)
    assert Price("availability", "availability", 0.5, 0.01).per_unit == 0.5


def test_nothing_is_forced_unless_somebody_did() -> None:
    assert Overrides().pins == {} and Overrides().frozen_until_wall_s == 0.0
    assert Pin("auto", 0.3, 100.0).by == ""
