"""A histogram of traffic, and what it would choose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.pricing.card import EDGE, Card, mean_usd
from gateway.core.pricing.terms import Terms
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.route import Question, choose
from gateway.domain.expectation import Expectation

TWO = Card(
    ("strong", "weak"),
    value=np.array([10.0, 3.0, 1.0, 2.0]),
    quality=np.array([[0.9, 0.5], [0.9, 0.5], [0.9, 0.5], [0.6, 0.6]]),
    usd=np.array([[0.010, 0.001]] * 4),
)
HEALTHY, NEVER_LATE = np.ones(2), np.zeros(2)


def picks(card: Card, per_unit: list[tuple[str, float]], u: float = 0.5) -> list[int]:
    m = len(card.models)
    return [int(c) for c in card.choose(per_unit, np.ones(m), np.zeros(m), {}, np.full(card.value.size, u))]


def test_without_prices_the_better_answer_wins() -> None:
    assert picks(TWO, []) == [0, 0, 0, 1]


def test_a_dearer_dollar_takes_the_least_valuable_request_first() -> None:
    # Class values over their mean of 4: 2.5, 0.75, 0.25; gains 0.4; dollars apart 0.009.
    assert picks(TWO, [("cost", 12.0)]) == [0, 0, 1, 1]
    assert picks(TWO, [("cost", 40.0)]) == [0, 1, 1, 1]
    assert picks(TWO, [("cost", 200.0)]) == [1, 1, 1, 1]


def test_a_learned_factor_makes_a_model_dearer() -> None:
    m = np.full(4, 0.5)
    assert TWO.choose([("cost", 12.0)], HEALTHY, NEVER_LATE, {}, m).tolist() == [0, 0, 1, 1]
    assert TWO.choose([("cost", 12.0)], HEALTHY, NEVER_LATE, {"strong": 4.0}, m).tolist() == [0, 1, 1, 1]
    assert TWO.billed({"weak": 2.0}).tolist() == [[0.010, 0.002]] * 4


def test_a_sick_model_is_chosen_less() -> None:
    sick = np.array([0.3, 1.0])
    assert TWO.choose([], sick, NEVER_LATE, {}, np.full(4, 0.5)).tolist() == [1, 1, 1, 1]
    late = np.array([0.5, 0.0])
    assert TWO.choose([("ttft", 1.0)], HEALTHY, late, {}, np.full(4, 0.5)).tolist() == [0, 1, 1, 1]


def test_a_quality_price_pulls_towards_the_better_answer() -> None:
    assert picks(TWO, [("cost", 40.0), ("quality", 1.0)]) == [0, 0, 0, 1]


def test_what_only_a_request_can_tell_moves_no_row_of_a_card() -> None:
    assert picks(TWO, [("itl", 5.0)]) == picks(TWO, [])
    assert not TWO.risks("itl", HEALTHY, np.ones(2), {}).any() and TWO.risks("ttft", HEALTHY, np.ones(2), {}).all()


def test_near_ties_are_split_by_share() -> None:
    """20,000 equal requests whose price is 5 % of the edge away from even."""
    n = 20_000
    card = Card(("strong", "weak"), np.ones(n), np.tile([0.9, 0.5], (n, 1)), np.tile([0.010, 0.001], (n, 1)))
    even = 0.4 / 0.009
    shares = []
    for price in (even / 1.2, even / 1.05, even, even / 0.95, even / 0.8):
        chosen = card.choose([("cost", price)], HEALTHY, NEVER_LATE, {}, card.draws)
        shares.append(float((chosen == 0).mean()))
    assert shares[0] == 1.0 and shares[-1] == 0.0
    # gain/priced - 1 = ±0.05 of an edge of ±0.1: three quarters and one quarter.
    assert shares[1] == pytest.approx(0.75, abs=0.01)
    assert shares[2] == pytest.approx(0.5, abs=0.01)
    assert shares[3] == pytest.approx(0.25, abs=0.01)


def test_a_lone_model_is_always_chosen() -> None:
    one = Card(("only",), np.ones(3), np.full((3, 1), 0.5), np.full((3, 1), 0.01))
    assert picks(one, [("cost", 1e9)]) == [0, 0, 0]


def test_the_cheapest_model_is_the_one_that_is_so_on_average() -> None:
    card = Card(("a", "b"), np.ones(2), np.full((2, 2), 0.5), np.array([[1.0, 5.0], [2.0, 1.5]]))
    assert card.cheapest_usd() == 1.5
    assert card.mean_value == 1.0


def test_the_mean_over_several_routes_is_weighted_by_their_traffic() -> None:
    cheap = Card(("a", "b"), np.ones(2), np.tile([0.9, 0.1], (2, 1)), np.tile([1.0, 0.1], (2, 1)), weight=3.0)
    dear = Card(("a", "b"), np.ones(2), np.tile([0.9, 0.1], (2, 1)), np.tile([5.0, 0.1], (2, 1)), weight=1.0)
    assert mean_usd([cheap, dear], [], {}) == pytest.approx(2.0)
    assert mean_usd([cheap, dear], [("cost", 1e6)], {}) == pytest.approx(0.1)


def test_draws_are_spread_evenly() -> None:
    draws = Card(("a",), np.ones(1000), np.ones((1000, 1)), np.ones((1000, 1))).draws
    assert 0 <= draws.min() and draws.max() < 1
    assert np.histogram(draws, 10, (0, 1))[0].tolist() == pytest.approx([100] * 10, abs=2)


shares = st.floats(0.0, 1.0)
usd = st.floats(1e-5, 0.1)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([1.0, 3.0, 10.0]), st.tuples(shares, shares, shares), st.tuples(usd, usd, usd)), min_size=2, max_size=5
    ),
    st.integers(2, 3),
    st.tuples(st.floats(0, 100), st.floats(0, 5), st.floats(0, 5), st.floats(0, 5)),
    st.floats(0.5, 1.0),
    shares,
)
def test_a_card_chooses_exactly_as_requests_do(
    rows: list[tuple[float, tuple[float, ...], tuple[float, ...]]], m: int, prices: tuple[float, ...], success: float, u: float
) -> None:
    models = ("a", "b", "c")[:m]
    card = Card(models, np.array([r[0] for r in rows]), np.array([r[1][:m] for r in rows]), np.array([r[2][:m] for r in rows]))
    per_unit = tuple(zip(("cost", "availability", "ttft", "quality"), prices, strict=True))
    a, late = np.linspace(success, 1.0, m), np.linspace(0.0, 0.09, m)
    a = np.maximum(a, 0.95)  # Healthy enough that no probe is forced: cards know none.
    chosen = card.choose(per_unit, a, late, {}, np.full(len(rows), u))
    terms = Terms(tuple((k, p) for k, p in per_unit if p), card.mean_value, None, 0.0, 1)
    for row, column in zip(range(len(rows)), chosen.tolist(), strict=True):
        es = tuple(Expectation(models[i], card.quality[row, i], a[i], late[i], card.usd[row, i], 1) for i in range(m))
        one = choose(Question(es, (True,) * m, (False,) * m, float(card.value[row]), (u, 0.99), None, False, None), terms, Gain())
        if one.model != models[column]:  # Only where rounding decides.
            scores = sorted(one.scores, reverse=True)
            assert abs(one.margin) < 1e-9 or abs(scores[1] - scores[-1]) < 1e-9 or abs(scores[0] - scores[1]) < 1e-9


def test_the_edge_is_a_tenth_of_what_is_priced() -> None:
    assert EDGE == 0.1


@pytest.mark.parametrize("kind", ["cost", "quality", "availability", "ttft", "itl"])
def test_the_pull_of_a_budget_is_the_mean_of_its_risks_apart(kind: str) -> None:
    health, factors = {"strong": (0.8, 0.3), "weak": (0.99, 0.02)}, {"strong": 1.5}
    risks = TWO.risks(kind, np.array([0.8, 0.99]), np.array([0.3, 0.02]), factors)
    assert TWO.pull(kind, health, factors) == pytest.approx(float((risks[:, 0] - risks[:, -1]).mean()))


def test_means_are_of_all_rows() -> None:
    assert TWO.mean_quality == pytest.approx((0.825, 0.525)) and TWO.mean_usd == pytest.approx((0.010, 0.001))
    assert TWO.median_usd_apart == pytest.approx(0.009) and TWO.mean_value == 4.0 and TWO.cheapest_usd() == pytest.approx(0.001)
