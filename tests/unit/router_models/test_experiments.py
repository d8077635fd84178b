import numpy as np
import pytest

from router_models.experiments import _many, folds_of, outer, pair_win_rates, raw_gaps
from router_models.recipe import Recipe
from router_models.routers.logistic import LogisticRouter
from router_models.split import fold
from router_models.table import ScoreTable
from router_models.train import train

SMALL = Recipe("logistic", {"buckets_log2": 9, "orders": [4]})


def test_no_row_is_answered_by_a_model_that_saw_it(table: ScoreTable):
    told = ScoreTable(table.models, table.prompts, table.groups, np.tile([1.0, 0.0], (len(table), 1)))
    parts = folds_of(told)
    assert parts.tolist() == [fold(p) for p in table.prompts]
    # One part has the opposite outcome: answered by the others, it must be answered wrongly.
    told.scores[parts == 2] = (0.0, 1.0)
    quality, win, novel = outer(Recipe("constant"), told, parts)
    assert quality[parts == 2].mean(axis=0) == pytest.approx([1.0, 0.0])
    assert quality[parts == 1][:, 1].mean() > 0.1
    assert win.shape == novel.shape == (len(table),)


def test_outer_answers_of_a_learner_beat_a_coin(table: ScoreTable):
    quality, win, _ = outer(SMALL, table, folds_of(table))
    hard = np.array([group == "hard" for group in table.groups])
    assert win[hard].mean() > win[~hard].mean() + 0.2
    assert quality.min() >= 0.0 and quality.max() <= 1.0


def test_win_rates_of_a_router_agree_with_those_of_its_card(table: ScoreTable):
    trained = train(SMALL, table, [], lambda _: None)
    assert isinstance(trained.router, LogisticRouter)
    quality = trained.router.quality(table.prompts[:50])
    expected = [trained.card.win_rate(q[0] - q[1]) for q in quality]
    assert pair_win_rates(trained.router, quality).tolist() == pytest.approx(expected)


def test_many_models_stand_beside_zero_router_table_and_oracle(table: ScoreTable):
    hard = np.array([group == "hard" for group in table.groups])
    costs = np.tile([0.01, 0.001], (len(table), 1))
    data = ScoreTable(table.models, table.prompts, table.groups, table.scores, None, costs)
    section = _many("made up", data, hard.astype(np.int64), {"logistic": SMALL}, lambda _: None)
    aiq = {row[0]: float(row[1]) for row in section.rows}
    assert aiq["zero router"] <= aiq["per-data-set table (in-sample)"] <= aiq["oracle"]
    assert aiq["zero router"] - 0.005 <= aiq["logistic"] <= aiq["oracle"]


def test_raw_gaps_of_unseen_parts_find_the_hard_words(table: ScoreTable):
    gaps = raw_gaps(SMALL, table, folds_of(table))
    hard = np.array([group == "hard" for group in table.groups])
    assert gaps[hard].mean() > gaps[~hard].mean() + 0.05
