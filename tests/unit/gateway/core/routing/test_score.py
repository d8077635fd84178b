"""S_m, the one score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routing.score import RISKS, compare, priced_difference, score
from gateway.domain.expectation import Expectation

E = Expectation("m", quality=0.8, success=0.9, late=0.2, usd=0.01, completion_tokens=100)
W = Expectation("w", quality=0.6, success=1.0, late=0.0, usd=0.001, completion_tokens=100)


def test_without_prices_it_is_the_value_at_stake() -> None:
    assert score(E, 2.5, ()) == pytest.approx(2.5 * 0.8 * 0.9)


def test_each_budget_charges_what_the_candidate_takes_of_it() -> None:
    per_unit = (("cost", 30.0), ("availability", 2.0), ("ttft", 0.5), ("quality", 1.0))
    assert score(E, 1.0, per_unit) == pytest.approx(0.72 - 0.3 - 0.2 - 0.1 - 0.2)


def test_two_candidates_differ_by_terms_and_their_magnitudes_make_the_edge() -> None:
    per_unit = (("cost", 30.0), ("quality", 1.0))
    total, magnitude = priced_difference(E, W, per_unit)
    assert total == pytest.approx(0.27 - 0.2) and magnitude == pytest.approx(0.27 + 0.2)
    assert score(E, 1.0, per_unit) - score(W, 1.0, per_unit) == pytest.approx(0.72 - 0.6 - total)


share = st.floats(0, 1)
candidates = st.builds(Expectation, st.just("m"), share, share, share, st.floats(0, 1), st.just(10))


@given(candidates, st.floats(0.1, 10), st.sampled_from(sorted(RISKS)), st.floats(0, 10), st.floats(0, 10))
def test_a_higher_price_never_raises_a_score(e: Expectation, v: float, kind: str, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert score(e, v, ((kind, high),)) <= score(e, v, ((kind, low),))


@given(candidates, candidates, st.floats(0.1, 10), st.lists(st.tuples(st.sampled_from(sorted(RISKS)), st.floats(0, 10)), max_size=5))
def test_two_candidates_at_once_are_the_same_to_the_last_bit(
    a: Expectation, b: Expectation, v: float, prices: list[tuple[str, float]]
) -> None:
    assert compare(a, b, v, prices) == (score(a, v, prices), score(b, v, prices), *priced_difference(a, b, prices))
