import numpy as np
import pytest

from router_models.frontier import LAMBDAS, Policy, aiq, choose, cost_at, fit_frontier, hull, single_points, sweep


def test_a_higher_price_of_dollars_chooses_cheaper_models():
    quality, cost = np.array([[0.9, 0.6], [0.7, 0.6]]), np.array([0.01, 0.001])
    assert choose(quality, cost, 0.0).tolist() == [0, 0]
    assert choose(quality, cost, 20.0).tolist() == [0, 1]
    assert choose(quality, cost, 1000.0).tolist() == [1, 1]


def test_ties_go_to_the_cheaper_model():
    assert choose(np.array([[0.5, 0.5]]), np.array([0.01, 0.001]), 0.0).tolist() == [1]


def test_the_hull_keeps_what_is_not_beaten_by_mixing():
    assert hull([(1.0, 0.5), (2.0, 0.6), (3.0, 0.9), (4.0, 0.8)]) == [(1.0, 0.5), (3.0, 0.9)]
    assert hull([(1.0, 0.5), (1.0, 0.7)]) == [(1.0, 0.7)]


def test_aiq_by_hand():
    assert aiq([(0.0, 0.4), (1.0, 0.8)], (0.0, 1.0)) == pytest.approx(0.6)
    assert aiq([(0.0, 0.4), (0.5, 0.8)], (0.0, 1.0)) == pytest.approx(0.7)
    assert aiq([(0.0, 0.4), (0.5, 0.8), (0.6, 0.1)], (0.0, 1.0)) == pytest.approx(0.7)


def test_the_cost_of_a_quality_is_read_off_the_hull():
    points = [(1.0, 0.5), (3.0, 0.9)]
    assert cost_at(points, 0.7) == pytest.approx(2.0)
    assert cost_at(points, 0.3) == 1.0
    assert cost_at(points, 0.95) is None


def drawn(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    scores = (np.random.default_rng(seed).uniform(size=(2000, 2)) < (0.9, 0.6)).astype(float)
    return scores, np.tile([0.01, 0.001], (2000, 1))


def test_a_router_that_knows_nothing_is_worth_no_more_than_mixing_single_models():
    scores, costs = drawn()
    noise = fit_frontier(np.random.default_rng(2).uniform(size=(2000, 2)), costs.mean(axis=0), scores, costs)
    span = (0.001, 0.01)
    assert aiq(list(noise.points), span) == pytest.approx(aiq(single_points(scores, costs), span), abs=0.003)
    constant = fit_frontier(np.tile([0.9, 0.6], (2000, 1)), costs.mean(axis=0), scores, costs)
    assert constant.policies == (Policy(None, 1), Policy(None, 0))
    assert constant.at(0.0) == ((Policy(None, 1), 1.0),) and constant.at(1.0) == ((Policy(None, 0), 1.0),)
    assert constant.at(0.0055) == ((Policy(None, 1), pytest.approx(0.5)), (Policy(None, 0), pytest.approx(0.5)))


def test_a_router_that_knows_is_used_between_the_single_models():
    scores, costs = drawn()
    knowing = fit_frontier(scores * 0.9, costs.mean(axis=0), scores, costs)
    assert any(policy.price is not None for policy in knowing.policies)
    assert aiq(list(knowing.points), (0.001, 0.01)) > aiq(single_points(scores, costs), (0.001, 0.01)) + 0.1
    (policy, share), *_ = knowing.at(0.005)
    taken = policy.apply(scores, costs.mean(axis=0))
    assert 0.0 < share <= 1.0 and scores[np.arange(2000), taken].mean() > 0.9


def test_a_sweep_pays_and_scores_what_really_happens():
    expected, real = np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    costs = np.array([[3.0, 1.0], [5.0, 1.0]])
    points = sweep(expected, np.array([0.004, 0.001]), real, costs)
    assert points[0] == (4.0, 0.5) and points[-1] == (1.0, 0.5) and len(points) == len(LAMBDAS)
