"""What a log line must hold so that the decision can be made again."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.pricing.terms import terms_of
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.record import EXPECTATION_FIELDS, RECORD_FIELDS, as_json, as_line, is_same, redecide
from gateway.core.routing.route import Question, choose
from gateway.domain.expectation import Expectation
from gateway.domain.prices import Price, Prices

GAIN = Gain(((0.0, -0.1), (0.5, 0.11), (1.0, 0.43)))
share = st.floats(0, 1)
KINDS = ("cost", "availability", "ttft", "quality")


def record_of(q: Question, prices: Prices, gain: Gain, route: str = "auto") -> tuple[Any, ...]:
    """Return the record of a request that was decided and served, in the order of RECORD_FIELDS."""
    c = choose(q, terms_of(prices, route), gain)
    return (
        "decision", 1e9, "req_1", "chat", "acme", "standard", q.klass_value, route, None, prices.version,
        q.expectations, q.usable, q.trial, q.draws, q.client_threshold, q.may_set_threshold, q.pin, "enforce",
        c.model, c.reason, c.scores, c.margin, c.win_rate, c.threshold,
        c.model, f"{c.model}@host", 1, "served", 0.4, 2.0, 0.0, 100, 20, 0, 0.001, False,
    )  # fmt: skip


@st.composite
def decided(draw: st.DrawFn) -> tuple[Question, Prices]:
    m = draw(st.integers(1, 4))
    es = tuple(Expectation(f"m{i}", draw(share), draw(share), draw(share), draw(st.floats(0, 0.1)), 100) for i in range(m))
    usable, trial = draw(st.tuples(*[st.booleans()] * m).filter(any)), draw(st.tuples(*[st.booleans()] * m))
    q = Question(
        es, usable, trial, draw(st.sampled_from([1.0, 3.0, 10.0])), draw(st.tuples(share, share)), draw(st.none() | share),
        draw(st.booleans()), draw(st.none() | share),
    )  # fmt: skip
    named = draw(
        st.lists(st.tuples(st.sampled_from(KINDS), st.floats(0, 20), st.floats(1e-4, 1), st.sampled_from([None, "auto", "x"])), max_size=5)
    )
    prices = tuple(Price(f"s{i}", kind, value, allowance, route) for i, (kind, value, allowance, route) in enumerate(named))
    return q, Prices(
        3, 1, "h", 5.0, "shadow_price", prices, draw(st.floats(0.5, 9)), draw(st.none() | share), request_rate=draw(st.floats(0, 50))
    )


@settings(max_examples=100, deadline=None)
@given(decided())
def test_strange_decisions_come_out_equal_when_made_again_from_their_lines(made: tuple[Question, Prices]) -> None:
    assert comes_out_equal(*made)


def test_two_thousand_ordinary_decisions_come_out_equal_when_made_again_from_their_lines() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        m = rng.choice((2, 2, 2, 3))
        es = tuple(
            Expectation(f"m{i}", rng.random(), rng.choice((0.999, rng.random())), rng.random() ** 3, rng.random() / 50, 99)
            for i in range(m)
        )
        threshold, pin = (rng.choice((None, None, None, rng.random())) for _ in range(2))
        trial = tuple(rng.random() < 0.1 for _ in es)
        q = Question(es, (True,) * m, trial, rng.choice((1.0, 3.0, 10.0)), (rng.random(), rng.random()), threshold, rng.random() < 0.5, pin)
        priced = tuple(Price(kind, kind, rng.random() * 2, rng.random() / 10) for kind in KINDS)
        assert comes_out_equal(q, Prices(3, 1, "h", 5.0, "shadow_price", priced, 4.0, request_rate=2.0)), q


def comes_out_equal(q: Question, prices: Prices) -> bool:
    """Write decision and prices as JSON, read both, decide again, compare."""
    line = json.loads(json.dumps(as_line(record_of(q, prices, GAIN))))
    told = json.loads(json.dumps(as_line(("prices", 1e9, prices, {"auto": GAIN}, "h"))))
    again = redecide(line, Prices.of_json(told["prices"]), Gain(tuple((a, b) for a, b in told["gains"]["auto"])))
    return is_same(line, again)


STRONG, WEAK = Expectation("strong", 0.9, 1.0, 0.0, 0.01, 200), Expectation("weak", 0.6, 1.0, 0.0, 0.001, 200)
ASKED = Question((STRONG, WEAK), (True, True), (False, False), 1.0, (0.5, 0.9), None, False, None)
PRICES = Prices(3, 1, "h", 5.0, "shadow_price", (Price("spend", "cost", 0.5, 0.02),))


def line() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(as_line(record_of(ASKED, PRICES, GAIN))))
    return made


def test_a_line_names_every_field_of_the_record() -> None:
    assert tuple(line()) == RECORD_FIELDS
    assert line()["expectations"] == [["strong", 0.9, 1.0, 0.0, 0.01, 200, 0.0, 0.0], ["weak", 0.6, 1.0, 0.0, 0.001, 200, 0.0, 0.0]]
    assert Expectation.__struct_fields__ == EXPECTATION_FIELDS


@given(decided())
def test_the_json_of_a_record_is_its_line(made: tuple[Question, Prices]) -> None:
    q, prices = made
    record, told = record_of(q, prices, GAIN), ("prices", 1e9, prices, {"auto": GAIN}, "h")
    version, encoded = as_json(record)
    assert version == prices.version and json.loads(encoded) == json.loads(json.dumps(as_line(record)))
    assert list(json.loads(encoded)) == list(RECORD_FIELDS)
    version, encoded = as_json(told)
    assert version == prices.version and json.loads(encoded) == json.loads(json.dumps(as_line(told)))


def test_a_line_of_a_build_that_knew_fewer_prospects_is_still_decided_again() -> None:
    older = {**line(), "expectations": [e[:6] for e in line()["expectations"]]}
    assert is_same(older, redecide(older, PRICES, GAIN))


@pytest.mark.parametrize(
    ("field", "other"),
    [("choice", "weak"), ("why", "soft_edge"), ("scores", [0.1, 0.2]), ("margin", 0.05), ("win_rate", 0.1), ("threshold", 0.99)],
)
def test_one_changed_result_is_a_difference(field: str, other: object) -> None:
    assert is_same(line(), redecide(line(), PRICES, GAIN))
    assert not is_same({**line(), field: other}, redecide(line(), PRICES, GAIN))


def test_other_prices_or_another_gain_are_a_difference() -> None:
    assert not is_same(line(), redecide(line(), structs.replace(PRICES, prices=(Price("spend", "cost", 0.6, 0.02),)), GAIN))
    assert not is_same(line(), redecide(line(), PRICES, Gain()))


def test_a_record_of_another_length_is_refused_rather_than_misread() -> None:
    with pytest.raises(ValueError, match=r"argument"):
        as_line(record_of(ASKED, PRICES, GAIN)[:-1])
    with pytest.raises(TypeError):
        as_json(record_of(ASKED, PRICES, GAIN)[:-1])
    with pytest.raises(ValueError, match=r"argument"):
        as_line(("prices", 1e9, PRICES, {"auto": GAIN}))
