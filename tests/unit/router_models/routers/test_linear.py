import math

import numpy as np
import pytest

from router_models.calibration import fit_pair
from router_models.features import SURFACE, FeatureSpec
from router_models.routers.linear import LinearFitter, LinearRouter, design, sigmoid
from router_models.table import ScoreTable

SPEC = FeatureSpec(orders=(3, 4), buckets_log2=9)
ODD = ["", "\0", "\ud800", "x" * 20_000, "日本語" * 3000, "ordinary question?", "A B\nC"]


def drawn_router(seed: int = 0) -> LinearRouter:
    rng = np.random.default_rng(seed)
    n = 500
    score, strong, weak = rng.uniform(-0.5, 0.5, n), (rng.uniform(size=n) < 0.8).astype(float), (rng.uniform(size=n) < 0.6).astype(float)
    calibration = fit_pair(score, rng.uniform(size=n), strong, weak, (-1.0, 1.0))
    return LinearRouter(
        ("s", "w"), SPEC, rng.normal(size=(2, SPEC.buckets)), 0.1 * rng.normal(size=(2, len(SURFACE))), rng.normal(size=2), calibration
    )


def test_serving_equals_the_design_matrix_times_the_weights():
    router = drawn_router()
    grams, surface = design(SPEC, ODD)
    stored = router.arrays()
    expected = grams @ stored["table"].T + surface @ stored["surface"].T + stored["intercept"]
    for prompt, row in zip(ODD, expected):
        assert router.logits(prompt) == pytest.approx(row.tolist(), abs=1e-9)


def test_serving_equals_the_scikit_learn_model_it_was_exported_from(table: ScoreTable):
    from scipy import sparse

    fitter = LinearFitter(table, {"orders": [3, 4], "buckets_log2": 9})
    rows = np.arange(len(table))
    fit = fitter.fit(rows)
    router = fit.router(fit.signals(rows), rows)
    for head, model in enumerate(fit.heads):
        exported = model.decision_function(sparse.csr_matrix(fit.inputs(rows)))
        served = np.array([router.logits(prompt)[head] for prompt in table.prompts])
        assert np.abs(exported - served).max() <= 1e-9


def test_one_prompt_and_many_agree_to_the_last_bit_and_stay_in_range():
    router = drawn_router()
    quality = router.quality(ODD)
    assert [tuple(row) for row in quality.tolist()] == [router.quality_one(p) for p in ODD]
    assert quality.min() >= 0.0 and quality.max() <= 1.0


def test_the_gain_depends_on_the_score_alone_and_rises_with_it():
    router = drawn_router()
    prompts = [f"question number {i} about {'abcdefgh'[i % 8] * (i % 13)}" for i in range(300)]
    scores = [router.signals(p)[0] for p in prompts]
    gains = [q[0] - q[1] for q in map(router.quality_one, prompts)]
    order = np.argsort(scores)
    assert np.all(np.diff(np.array(gains)[order]) >= -1e-15)


def test_what_is_stored_restores_the_same_router():
    router = drawn_router()
    again = LinearRouter.restore(router.models, router.options(), router.arrays())
    assert np.array_equal(again.quality(ODD), router.quality(ODD)) and again.feature_hash() == router.feature_hash()


def test_weights_of_another_shape_are_refused():
    router = drawn_router()
    for name in ("table", "surface", "intercept"):
        arrays = router.arrays()
        arrays[name] = arrays[name][:1]
        with pytest.raises(ValueError):
            LinearRouter.restore(router.models, router.options(), arrays)


def test_scores_between_0_and_1_count_as_parts_of_a_success():
    prompts = [f"{word} question {i}" for i in range(100) for word in ("red", "blue")]
    scores = np.array([[0.9, 0.8], [0.9, 0.2]] * 100)
    data = ScoreTable(("s", "w"), prompts, [""] * 200, scores)
    fitter, rows = LinearFitter(data, {"buckets_log2": 9, "inverse_regularization": 10.0}), np.arange(200)
    fit = fitter.fit(rows)
    signals = fit.signals(rows)
    assert signals[::2, 0].mean() == pytest.approx(0.1, abs=0.05) and signals[1::2, 0].mean() == pytest.approx(0.7, abs=0.05)


def test_the_sigmoid_does_not_overflow():
    assert sigmoid(-1e6) == 0.0 and sigmoid(1e6) == 1.0 and sigmoid(0.0) == 0.5
    assert sigmoid(2.0) == pytest.approx(1 / (1 + math.exp(-2)))
