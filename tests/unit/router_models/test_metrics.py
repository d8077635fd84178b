import numpy as np
import pytest

from router_models.metrics import apgr, auc, brier, calibration_error, cpt, interval, oracle, pgr_curve, resamples

STRONG = np.array([1.0, 1.0, 1.0, 0.0])
WEAK = np.array([0.0, 1.0, 0.0, 0.0])


def test_the_curve_by_hand():
    assert pgr_curve(np.array([4.0, 3.0, 2.0, 1.0]), STRONG, WEAK).tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert apgr(np.array([4.0, 3.0, 2.0, 1.0]), STRONG, WEAK) == pytest.approx((0.25 + 0.5 + 0.75 + 1.0) / 4)


def test_tied_scores_enter_in_equal_parts_whatever_their_order():
    flat = np.zeros(4)
    assert pgr_curve(flat, STRONG, WEAK).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert apgr(flat, STRONG, WEAK) == pytest.approx(0.5)
    assert apgr(flat, STRONG[::-1], WEAK[::-1]) == pytest.approx(0.5)


def test_the_oracle_beats_one_half_and_can_exceed_1_where_the_strong_model_loses():
    strong, weak = np.array([1.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    assert apgr(oracle(strong, weak), strong, weak) > 1.0
    assert apgr(-oracle(strong, weak), strong, weak) < 0.5


def test_equal_models_have_no_pgr():
    with pytest.raises(ValueError, match="not defined"):
        pgr_curve(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]))


def test_cpt_is_the_smallest_share_that_recovers_enough():
    score = np.array([4.0, 3.0, 2.0, 1.0])
    assert cpt(score, STRONG, WEAK, 0.5) == 0.25
    assert cpt(score, STRONG, WEAK, 0.8) == 0.75


def test_auc_counts_pairs_and_ties_half():
    label = np.array([1.0, 0.0, 1.0, 0.0])
    assert auc(np.array([4.0, 3.0, 2.0, 1.0]), label) == pytest.approx(3 / 4)
    assert auc(np.zeros(4), label) == pytest.approx(0.5)
    assert auc(np.zeros(2), np.ones(2)) is None


def test_a_perfect_predictor_has_a_debiased_calibration_error_near_zero_and_a_biased_one_shows():
    rng = np.random.default_rng(3)
    p = rng.uniform(0.05, 0.6, 20000)
    label = (rng.uniform(size=p.size) < p).astype(float)
    plain, debiased = calibration_error(p, label)
    assert plain > 0.0 and debiased < 0.008
    assert calibration_error(p + 0.1, label)[1] == pytest.approx(0.1, abs=0.01)
    assert brier(p, label) < brier(p + 0.1, label)


def test_bootstrap_draws_are_repeatable_and_can_take_whole_groups():
    first, again = resamples(None, 10, 3, seed=5), resamples(None, 10, 3, seed=5)
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    groups = np.array([0, 0, 0, 1, 1, 2], dtype=np.int64)
    for draw in resamples(groups, 6, 20, seed=5):
        counts = np.bincount(draw, minlength=6)
        assert counts[0] == counts[1] == counts[2] and counts[3] == counts[4]


def test_the_interval_holds_95_percent():
    assert interval([float(i) for i in range(1001)]) == pytest.approx((25.0, 975.0))
