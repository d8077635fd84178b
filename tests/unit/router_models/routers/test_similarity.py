import numpy as np
import pytest

from router_models.recipe import Recipe
from router_models.routers.registry import ROUTERS
from router_models.routers.similarity import SimilarityFitter
from router_models.table import ScoreTable
from router_models.train import train

LAW, FERN = "civil procedure statute court appeal question 5", "botany fern leaf spore meadow question 5"
OPTIONS = {"dimensions": 8}


def test_it_finds_the_topic_on_which_the_weak_model_fails(topics: ScoreTable):
    router = train(Recipe("similarity", OPTIONS), topics, [], lambda _: None).router
    law, fern = router.quality([LAW, FERN])
    assert law[0] - law[1] > fern[0] - fern[1] + 0.3


def test_fitted_signals_equal_served_signals_and_storing_changes_nothing(topics: ScoreTable):
    rows = np.arange(len(topics))
    fit = SimilarityFitter(topics, OPTIONS, {}).fit(rows)
    signals = fit.signals(rows)
    router = fit.router(signals, rows)
    served = np.array([router.signals(prompt) for prompt in topics.prompts])
    assert served == pytest.approx(signals, abs=1e-6)
    again = ROUTERS["similarity"].restore(router.models, router.options(), router.arrays(), {})
    odd = ["", "\0", "\ud800", "x" * 10_000, LAW]
    assert np.array_equal(again.quality(odd), router.quality(odd))
    assert [tuple(q) for q in again.quality(odd).tolist()] == [again.quality_one(p) for p in odd]
    assert again.feature_hash() == router.feature_hash() != ""


def test_arrays_that_do_not_fit_and_unknown_options_are_refused(topics: ScoreTable):
    router = train(Recipe("similarity", OPTIONS), topics, [], lambda _: None).router
    name = next(name for name in sorted(router.arrays()) if "embedding" not in name)
    with pytest.raises((ValueError, KeyError)):
        ROUTERS["similarity"].restore(router.models, router.options(), {**router.arrays(), name: np.zeros((3, 3, 3))}, {})
    with pytest.raises(ValueError, match="unknown options"):
        SimilarityFitter(topics, {"colour": 1}, {})


def test_three_models_get_three_qualities(topics: ScoreTable):
    third = np.column_stack([topics.scores, np.full(len(topics), 0.5)])
    data = ScoreTable(("a", "b", "c"), topics.prompts, topics.groups, third)
    law, fern = train(Recipe("similarity", OPTIONS), data, [], lambda _: None).router.quality([LAW, FERN])
    assert law.shape == (3,) and law[0] > law[1] and fern[1] > law[1]


def test_two_models_are_ranked_by_the_weighted_share_of_wins(topics: ScoreTable):
    rows = np.arange(len(topics))
    fit = SimilarityFitter(topics, {"dimensions": 8, "sharpness": 0.0}, {}).fit(rows)
    router = fit.router(fit.signals(rows), rows)
    wins = float((0.5 * (1.0 + topics.scores[:, 0] - topics.scores[:, 1])).sum())
    strong, weak, prior = *router.signals(LAW), 0.01 * len(topics)
    level = float(topics.scores.mean())
    assert 2 * strong - level == pytest.approx((wins + prior) / (len(topics) + 2 * prior), abs=1e-6)
    assert strong + weak == pytest.approx(level + 0.5)
