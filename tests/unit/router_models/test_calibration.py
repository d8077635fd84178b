from itertools import pairwise

import numpy as np
import pytest

from router_models.calibration import Interpolation, PairCalibration, PairQualities, calibrate, fit_pair


def drawn(n: int = 4000, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Scores, levels and outcomes of two models whose win probability truly rises with the score."""
    rng = np.random.default_rng(seed)
    score, level = rng.uniform(-0.2, 0.8, n), rng.uniform(0.2, 0.9, n)
    p = np.clip(0.05 + 0.5 * np.clip(score, 0, 1), 0, 1)
    u = rng.uniform(size=n)
    strong = (u < p) | (u > 0.4)
    weak = ~(u < p) & (u > 0.35)
    return score, level, strong.astype(float), weak.astype(float)


def test_interpolation_meets_its_knots_and_undoes_itself():
    f = Interpolation([0.0, 0.5, 1.0], [-0.1, 0.3, 1.0])
    assert [f(0.0), f(0.5), f(1.0), f(-5.0), f(9.0)] == [-0.1, 0.3, 1.0, -0.1, 1.0]
    assert f(0.25) == pytest.approx(0.1)
    assert f.inverse()(f(0.7)) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("x", "y"), [([0.0], [0.0]), ([0.0, 0.0], [0.0, 1.0]), ([0.0, 1.0], [1.0, 1.0]), ([0.0, 1.0], [0.0, float("nan")])]
)
def test_knots_that_do_not_increase_are_refused(x: list[float], y: list[float]):
    with pytest.raises(ValueError):
        Interpolation(x, y)


def test_fitted_knots_increase_strictly_and_span_win_rate_0_to_1():
    made = fit_pair(*drawn(), (-1.0, 1.0))
    for knots in (made.score, made.win_rate, made.gain, made.raw_level, made.level):
        assert all(b > a for a, b in pairwise(knots))
    assert (made.win_rate[0], made.win_rate[-1], made.gain[-1]) == (0.0, 1.0, 1.0)


def test_the_fitted_win_rate_tells_the_share_of_wins():
    score, _, strong, weak = drawn(20000)
    made = fit_pair(*drawn(8000, seed=2), (-1.0, 1.0))
    win = np.array([Interpolation(made.score, made.win_rate)(s) for s in score.tolist()])
    for low, high in ((-0.2, 0.1), (0.1, 0.4), (0.4, 0.8)):
        part = (score >= low) & (score < high)
        assert win[part].mean() == pytest.approx((strong > weak)[part].mean(), abs=0.03)


@pytest.mark.parametrize("case", ["all strong", "all ties", "all weak", "one row", "one score"])
def test_degenerate_outcomes_still_give_usable_knots(case: str):
    n = 1 if case == "one row" else 50
    score = np.full(n, 0.3) if case == "one score" else np.linspace(-0.5, 0.5, n)
    strong = np.full(n, 0.0 if case in ("all weak", "all ties") else 1.0)
    weak = np.full(n, 1.0 if case == "all weak" else 0.0)
    made = fit_pair(score, np.full(n, 0.5), strong, weak, (-1.0, 1.0))
    assert PairCalibration.from_json(made.to_json()) == made


def test_qualities_stay_in_range_and_differ_by_the_gain():
    made = fit_pair(*drawn(), (-1.0, 1.0))
    qualities, gain = PairQualities(made), Interpolation(made.score, made.gain)
    for score in np.linspace(-1, 1, 41).tolist():
        for level in (0.0, 0.3, 1.0):
            strong, weak = qualities(score, level)
            assert 0.0 <= weak <= 1.0 and 0.0 <= strong <= 1.0
            assert strong - weak == pytest.approx(gain(score), abs=1e-12)


def test_stored_knots_that_do_not_span_win_rate_0_to_1_are_refused():
    content = fit_pair(*drawn(), (-1.0, 1.0)).to_json()
    content["win_rate"] = [0.01, *content["win_rate"][1:]]
    with pytest.raises(ValueError, match="0 to 1"):
        PairCalibration.from_json(content)


def test_a_row_of_weight_three_counts_like_three_rows():
    rng = np.random.default_rng(3)
    raw, scores = rng.uniform(size=(400, 2)), (rng.uniform(size=(400, 2)) < (0.8, 0.5)).astype(float)
    weights = np.where(np.arange(400) < 100, 3.0, 1.0)
    heavy = calibrate(raw, scores, weights)
    # The level needs no bins: it is a least-squares fit, where three copies and a weight of three are the same thing.
    copied = calibrate(np.vstack([raw, raw[:100], raw[:100]]), np.vstack([scores, scores[:100], scores[:100]]))
    assert isinstance(heavy, PairCalibration) and isinstance(copied, PairCalibration)
    assert heavy.strong_in_level == pytest.approx(copied.strong_in_level, abs=1e-9)
    assert heavy.level != calibrate(raw, scores).level  # type: ignore[union-attr]


def test_the_level_listens_to_the_model_whose_raw_quality_tells_more():
    rng = np.random.default_rng(4)
    raw = rng.uniform(size=(2000, 2))
    scores = np.repeat((rng.uniform(size=2000) < raw[:, 1]).astype(float)[:, None], 2, axis=1)
    found = calibrate(raw, scores)
    assert isinstance(found, PairCalibration) and found.strong_in_level < 0.1
