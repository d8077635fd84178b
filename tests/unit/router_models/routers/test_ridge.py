import numpy as np
import pytest

from router_models.routers.ridge import RidgeFitter, RidgeRouter
from router_models.table import ScoreTable

OPTIONS = {"orders": [4], "buckets_log2": 9, "regularization": 1.0}


def test_serving_equals_the_scikit_learn_model_clipped_to_0_and_1(table: ScoreTable):
    rows = np.arange(len(table))
    fit = RidgeFitter(table, OPTIONS, {}).fit(rows)
    router = fit.router(fit.signals(rows), rows)
    for head, model in enumerate(fit.heads):
        exported = np.clip(model.predict(fit.inputs(rows)).ravel(), 0.0, 1.0)
        served = np.array([router.signals(prompt)[head] for prompt in table.prompts])
        assert np.abs(exported - served).max() <= 1e-9
    assert isinstance(router, RidgeRouter)


def test_it_learns_graded_scores_of_many_models():
    prompts = [f"{word} {i}" for i in range(100) for word in ("red", "blue")]
    data = ScoreTable(("a", "b", "c"), prompts, [""] * 200, np.array([[0.9, 0.5, 0.2], [0.1, 0.5, 0.7]] * 100))
    rows = np.arange(200)
    fit = RidgeFitter(data, OPTIONS, {}).fit(rows)
    red, blue = fit.router(fit.signals(rows), rows).quality(["red 3", "blue 3"])
    assert red == pytest.approx([0.9, 0.5, 0.2], abs=0.1) and blue == pytest.approx([0.1, 0.5, 0.7], abs=0.1)


def test_options_of_logistic_are_not_options_of_ridge(table: ScoreTable):
    with pytest.raises(ValueError, match="inverse_regularization"):
        RidgeFitter(table, {"inverse_regularization": 1.0}, {})
