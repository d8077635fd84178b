import numpy as np
import pytest

from router_models.recipe import Recipe
from router_models.routers.domain_table import DomainTableFitter
from router_models.routers.registry import ROUTERS
from router_models.table import ScoreTable
from router_models.train import train

LAW, FERN = "civil procedure statute court appeal question 5", "botany fern leaf spore meadow question 5"
OPTIONS = {"clusters": 4, "dimensions": 8}


def test_it_finds_the_topic_on_which_the_weak_model_fails(topics: ScoreTable):
    router = train(Recipe("domain_table", OPTIONS), topics, [], lambda _: None).router
    law, fern = router.quality([LAW, FERN])
    assert law[0] - law[1] > fern[0] - fern[1] + 0.3


def test_fitted_signals_equal_served_signals_and_storing_changes_nothing(topics: ScoreTable):
    rows = np.arange(len(topics))
    fit = DomainTableFitter(topics, OPTIONS, {}).fit(rows)
    signals = fit.signals(rows)
    router = fit.router(signals, rows)
    served = np.array([router.signals(prompt) for prompt in topics.prompts])
    assert served == pytest.approx(signals, abs=1e-6)
    again = ROUTERS["domain_table"].restore(router.models, router.options(), router.arrays(), {})
    odd = ["", "\0", "\ud800", "x" * 10_000, LAW]
    assert np.array_equal(again.quality(odd), router.quality(odd))
    assert [tuple(q) for q in again.quality(odd).tolist()] == [again.quality_one(p) for p in odd]
    assert again.feature_hash() == router.feature_hash() != ""


def test_arrays_that_do_not_fit_and_unknown_options_are_refused(topics: ScoreTable):
    router = train(Recipe("domain_table", OPTIONS), topics, [], lambda _: None).router
    name = next(name for name in sorted(router.arrays()) if "embedding" not in name)
    with pytest.raises((ValueError, KeyError)):
        ROUTERS["domain_table"].restore(router.models, router.options(), {**router.arrays(), name: np.zeros((3, 3, 3))}, {})
    with pytest.raises(ValueError, match="unknown options"):
        DomainTableFitter(topics, {"colour": 1}, {})


def test_three_models_get_three_qualities(topics: ScoreTable):
    third = np.column_stack([topics.scores, np.full(len(topics), 0.5)])
    data = ScoreTable(("a", "b", "c"), topics.prompts, topics.groups, third)
    law, fern = train(Recipe("domain_table", OPTIONS), data, [], lambda _: None).router.quality([LAW, FERN])
    assert law.shape == (3,) and law[0] > law[1] and fern[1] > law[1]
