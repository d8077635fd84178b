import numpy as np
import pytest

from router_models.card import Source
from router_models.recipe import Recipe
from router_models.table import ScoreTable
from router_models.train import pair_metrics, train

SMALL = {"buckets_log2": 10, "orders": [4]}


def test_a_linear_router_finds_the_words_that_matter_and_its_card_says_how_well(table: ScoreTable):
    trained = train(Recipe("logistic", SMALL), table, [Source("made-up", "0" * 64, "MIT", len(table))], lambda _: None)
    asked = "Question 123: tell me about the {} of number 456, please?"
    easy, hard = trained.router.quality([asked.format("lunch"), asked.format("theorem")])
    assert hard[0] - hard[1] > easy[0] - easy[1] + 0.2
    metrics = trained.card.metrics["cross_fit"]
    assert metrics["apgr"] > 0.65 and metrics["apgr_interval"][0] < metrics["apgr"] < metrics["apgr_interval"][1]
    assert trained.held_out.shape == (len(table), 2) and trained.card.sample.shape == (len(table), 2)


@pytest.mark.parametrize("kind", ["constant", "length", "random"])
def test_the_baselines_train_on_the_same_table(table: ScoreTable, kind: str):
    trained = train(Recipe(kind), table, [], lambda _: None)
    quality = trained.router.quality(table.prompts)
    assert quality.mean(axis=0) == pytest.approx(table.scores.mean(axis=0), abs=0.12)
    assert trained.card.gain_knots[0][0] == 0.0 and trained.card.gain_knots[-1][0] == 1.0


def test_training_twice_gives_the_same_weights(table: ScoreTable):
    first, again = (train(Recipe("logistic", SMALL), table, [], lambda _: None) for _ in range(2))
    assert all(np.array_equal(first.router.arrays()[k], again.router.arrays()[k]) for k in first.router.arrays())
    assert first.card.to_json() == again.card.to_json()


def test_an_unknown_router_or_option_is_named(table: ScoreTable):
    with pytest.raises(ValueError, match="unknown router 'magic'"):
        train(Recipe("magic"), table, [], print)
    with pytest.raises(ValueError, match="depth"):
        train(Recipe("logistic", {"depth": 3}), table, [], print)


def test_one_question_only_cannot_be_calibrated(table: ScoreTable):
    same = ScoreTable(table.models, ["same question"] * 5, [""] * 5, table.scores[:5])
    with pytest.raises(ValueError, match="two folds"):
        train(Recipe("length"), same, [], print)


def test_pair_metrics_of_a_score_that_knows_everything_are_best(table: ScoreTable):
    wins = (table.scores[:, 0] > table.scores[:, 1]).astype(float)
    best = pair_metrics(wins, table)
    assert best["brier"] == 0.0 and best["apgr"] > 0.9


def test_models_that_are_equally_good_can_be_trained_on_but_have_no_apgr():
    scores = np.array([[1.0, 0.0], [0.0, 1.0]] * 30)
    equal = ScoreTable(("s", "w"), [f"prompt {i}" for i in range(60)], [""] * 60, scores)
    metrics = train(Recipe("length"), equal, [], lambda _: None).card.metrics["cross_fit"]
    assert "apgr" not in metrics and metrics["rows"] == 60


@pytest.mark.parametrize("kind", ["length", "constant"])
def test_row_weights_are_honoured_or_refused(table: ScoreTable, kind: str):
    heavy = np.where([group == "hard" for group in table.groups], 5.0, 1.0)
    weighted = ScoreTable(table.models, table.prompts, table.groups, table.scores, heavy)
    with pytest.raises(ValueError, match=f"{kind} cannot weight rows"):
        train(Recipe(kind), weighted, [], lambda _: None)
    plain, told = (train(Recipe("logistic", SMALL), t, [], lambda _: None).router.quality(table.prompts) for t in (table, weighted))
    # Hard rows count five times, and the weak model fails on them: it is thought worse of everywhere.
    assert told[:, 1].mean() < plain[:, 1].mean() - 0.01
