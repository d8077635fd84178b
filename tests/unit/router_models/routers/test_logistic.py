import math
from dataclasses import replace

import numpy as np
import pytest

from router_models.calibration import PairCalibration, calibrate
from router_models.conversation import ALONE, Chat
from router_models.design import design
from router_models.features import SURFACE, FeatureSpec
from router_models.novelty import Novelty
from router_models.routers.logistic import TOGETHER_BYTES, TOGETHER_MIN, LogisticFitter, LogisticRouter, sigmoid
from router_models.table import ScoreTable

SPEC = FeatureSpec(orders=(3, 4), buckets_log2=9)
ODD = ["", "\0", "\ud800", "x" * 20_000, "日本語" * 3000, "ordinary question?", "A B\nC"]
OPTIONS = {"orders": [3, 4], "buckets_log2": 9}


def drawn_router(seed: int = 0, limit: float = 1e9) -> LogisticRouter:
    rng = np.random.default_rng(seed)
    n, d = 500, len(SURFACE)
    scores = (rng.uniform(size=(n, 2)) < (0.8, 0.6)).astype(float)
    calibration = calibrate(rng.uniform(size=(n, 2)), scores)
    assert isinstance(calibration, PairCalibration)
    weights = {"table": rng.normal(size=(2, SPEC.buckets)), "surface": 0.1 * rng.normal(size=(2, d)), "intercept": rng.normal(size=2)}
    novelty = Novelty(np.zeros(d), np.eye(d), limit)
    return LogisticRouter(("s", "w"), SPEC, weights, novelty, calibration, calibration, (0.8, 0.6))


def fitted(table: ScoreTable) -> LogisticRouter:
    rows = np.arange(len(table))
    fit = LogisticFitter(table, OPTIONS, {}).fit(rows)
    return fit.router(fit.signals(rows), rows)


def test_serving_equals_the_design_matrix_times_the_weights():
    router = drawn_router()
    grams, surface = design(SPEC, ODD)
    stored = router.arrays()
    expected = grams @ stored["table"].T + surface @ stored["surface"].T + stored["intercept"]
    for prompt, row in zip(ODD, expected):
        assert router.logits(prompt) == pytest.approx(row.tolist(), abs=1e-9)


def test_serving_equals_the_scikit_learn_model_it_was_exported_from(table: ScoreTable):
    rows = np.arange(len(table))
    fit = LogisticFitter(table, OPTIONS, {}).fit(rows)
    router = fit.router(fit.signals(rows), rows)
    for head, model in enumerate(fit.heads):
        exported = model.decision_function(fit.inputs(rows))
        served = np.array([router.logits(prompt)[head] for prompt in table.prompts])
        assert np.abs(exported - served).max() <= 1e-9


def test_fitted_signals_equal_served_signals(table: ScoreTable):
    rows = np.arange(len(table))
    fit = LogisticFitter(table, OPTIONS, {}).fit(rows)
    router = fit.router(fit.signals(rows), rows)
    served = np.array([router.signals(prompt) for prompt in table.prompts])
    assert np.abs(served - fit.signals(rows)).max() <= 1e-9


def test_one_prompt_and_many_agree_to_the_last_bit_and_stay_in_range():
    router = drawn_router()
    quality = router.quality(ODD)
    assert [tuple(row) for row in quality.tolist()] == [router.quality_one(p) for p in ODD]
    assert quality.min() >= 0.0 and quality.max() <= 1.0


@pytest.mark.parametrize("limit", [1.0, 50.0])
def test_prompts_that_are_answered_together_get_what_each_would_get_alone(limit: float):
    router = drawn_router(limit=limit)
    prompts = [*ODD, *("def f(x):\n  return x\n\n" * n for n in range(TOGETHER_MIN)), "x" * TOGETHER_BYTES, "long " * 3000, "last"]
    for some in (prompts, prompts[:1], prompts[:TOGETHER_MIN], []):
        together = router.quality_many(some, [None] * len(some))
        assert len(together) == len(some)
        for answer, prompt in zip(together, some):
            assert answer == pytest.approx(router.quality_one(prompt), abs=1e-9)


def test_the_short_way_to_the_qualities_of_a_pair_equals_the_long_one_to_the_last_bit(table: ScoreTable):
    for router in (drawn_router(), drawn_router(limit=1.0), fitted(table)):
        prompts = [*ODD, *table.prompts[:100]]
        assert [router.quality_one(p) for p in prompts] == [router.combine(router.signals(p)) for p in prompts]


def test_the_gain_depends_on_the_difference_of_raw_qualities_alone_and_rises_with_it():
    router = drawn_router()
    prompts = [f"question number {i} about {'abcdefgh'[i % 8] * (i % 13)}" for i in range(300)]
    raw = [router.signals(p) for p in prompts]
    gains = np.array([q[0] - q[1] for q in map(router.quality_one, prompts)])
    order = np.argsort([s - w for s, w, *_ in raw])
    assert np.all(np.diff(gains[order]) >= -1e-15)


def test_an_out_of_domain_prompt_is_answered_by_its_length(table: ScoreTable):
    router = fitted(table)
    strange = ["[[[[]]]]\n\n" * n for n in (3, 30, 300)]
    assert all(router.is_out_of_domain(p) for p in strange)
    same_length = ["{{{{}}}}\n\n" * n for n in (3, 30, 300)]
    assert [router.quality_one(p) for p in strange] == [router.quality_one(p) for p in same_length]
    gains = [q[0] - q[1] for q in map(router.quality_one, strange)]
    assert gains == sorted(gains)
    flagged = np.mean([router.is_out_of_domain(p) for p in table.prompts])
    assert flagged < 0.05


def test_a_few_labels_of_other_traffic_turn_a_router_round(table: ScoreTable):
    router = fitted(table)
    swapped = table.scores.copy()
    hard = np.array([group == "hard" for group in table.groups])
    swapped[:, 1] = np.where(hard, 1.0, 0.0)  # on this traffic the weak model is good at what it was bad at
    again = router.adapted(table.prompts, swapped)
    quality = again.quality(table.prompts)
    gain = quality[:, 0] - quality[:, 1]
    assert gain[~hard].mean() > gain[hard].mean() + 0.3
    assert quality.mean(axis=0) == pytest.approx(swapped.mean(axis=0), abs=0.07)
    assert LogisticRouter.restore(again.models, again.options(), again.arrays(), {}).quality(ODD).shape == (len(ODD), 2)


def test_what_is_stored_restores_the_same_router(table: ScoreTable):
    router = fitted(table)
    again = LogisticRouter.restore(router.models, router.options(), router.arrays(), {})
    assert np.array_equal(again.quality(ODD), router.quality(ODD)) and again.feature_hash() == router.feature_hash()


def test_weights_of_another_shape_are_refused(table: ScoreTable):
    router = fitted(table)
    for name in router.arrays():
        arrays = router.arrays()
        arrays[name] = np.zeros((7, 7))
        with pytest.raises((ValueError, TypeError)):
            LogisticRouter.restore(router.models, router.options(), arrays, {})


def test_scores_between_0_and_1_count_as_parts_of_a_success():
    prompts = [f"{word} question {i}" for i in range(100) for word in ("red", "blue")]
    data = ScoreTable(("s", "w"), prompts, [""] * 200, np.array([[0.9, 0.8], [0.9, 0.2]] * 100))
    rows = np.arange(200)
    signals = LogisticFitter(data, {"buckets_log2": 9, "inverse_regularization": 10.0}, {}).fit(rows).signals(rows)
    gap = signals[:, 0] - signals[:, 1]
    assert gap[::2].mean() == pytest.approx(0.1, abs=0.05) and gap[1::2].mean() == pytest.approx(0.7, abs=0.05)


def test_heavier_rows_count_for_more():
    prompts = ["same words"] * 100
    scores = np.array([[1.0, 0.0], [1.0, 1.0]] * 50)
    weights = np.array([9.0, 1.0] * 50)
    rows = np.arange(100)
    heavy = LogisticFitter(ScoreTable(("s", "w"), prompts, [""] * 100, scores, weights), OPTIONS, {}).fit(rows).signals(rows)
    assert heavy[0, 1] == pytest.approx(0.1, abs=0.05)


def test_many_models_get_a_quality_each():
    rng = np.random.default_rng(3)
    prompts = [f"{word} {i}" for i in range(150) for word in ("red", "blue")]
    scores = np.array([[float(rng.uniform() < p) for p in ((0.9, 0.5, 0.1) if w.startswith("red") else (0.1, 0.5, 0.9))] for w in prompts])
    router = fitted(ScoreTable(("a", "b", "c"), prompts, [""] * 300, scores))
    red, blue = router.quality(["red 7", "blue 7"])
    assert red[0] > 0.7 > 0.3 > red[2] and blue[2] > 0.7 > 0.3 > blue[0] and router.gain_knots() == ()


def conversations(table: ScoreTable) -> ScoreTable:
    """The same prompts; with tools the weak model always fails and without it never does, whatever the words."""
    rng = np.random.default_rng(4)
    tools = rng.uniform(size=len(table)) < 0.5
    chats = [Chat(turns=int(rng.integers(1, 5)), context_characters=int(rng.integers(0, 500)), has_tools=bool(t)) for t in tools]
    return ScoreTable(table.models, table.prompts, table.groups, np.column_stack([np.full(len(table), 0.9), 1.0 - tools]), chats=chats)


def test_a_router_trained_on_conversations_reads_what_surrounds_the_question(table: ScoreTable):
    data = conversations(table)
    router, chats = fitted(data), data.chats
    assert router.reads_conversation and chats is not None
    quality = router.quality(data.prompts, chats)
    gain, tools = quality[:, 0] - quality[:, 1], np.array([chat.has_tools for chat in chats])
    assert gain[tools].mean() > gain[~tools].mean() + 0.5
    assert [tuple(row) for row in quality.tolist()] == [router.quality_one(p, c) for p, c in zip(data.prompts, chats)]
    rows = np.arange(len(data))
    fit = LogisticFitter(data, OPTIONS, {}).fit(rows)
    served = np.array([fit.router(fit.signals(rows), rows).logits(p, c) for p, c in zip(data.prompts, chats)])
    assert np.abs(served - np.column_stack([head.decision_function(fit.inputs(rows)) for head in fit.heads])).max() <= 1e-9
    again = LogisticRouter.restore(router.models, router.options(), router.arrays(), {})
    assert np.array_equal(again.quality(data.prompts, chats), quality)
    assert router.quality_one("a lone question") == router.quality_one("a lone question", ALONE)
    parts = router.parts(data.prompts[0], chats[0])
    assert sum(p for _, p in parts) + router.arrays()["intercept"] == pytest.approx(router.logits(data.prompts[0], chats[0]))
    adapted = router.adapted(data.prompts, data.scores, None, chats)
    assert adapted.reads_conversation and adapted.feature_hash() == router.feature_hash() != fitted(table).feature_hash()


def test_a_router_trained_on_lone_questions_ignores_what_surrounds_one(table: ScoreTable):
    router = fitted(ScoreTable(table.models, table.prompts, table.groups, table.scores, chats=[ALONE] * len(table)))
    assert not router.reads_conversation and "conversation" not in router.arrays()
    assert router.quality_one("why?", Chat(9, 9000, 9000, True, 1)) == router.quality_one("why?") == fitted(table).quality_one("why?")


def with_background(table: ScoreTable) -> ScoreTable:
    """Four rows about one hard word and four about one easy word; a background in which other models answered questions about all words."""
    rng, hard = np.random.default_rng(6), np.array([group == "hard" for group in table.groups])
    prompts = [f"In other words {i}: {prompt.split(': ')[1]}" for i, prompt in enumerate(table.prompts)]
    scores = np.where(hard, 0.1, 0.9).reshape(-1, 1) + rng.uniform(-0.1, 0.1, (len(table), 3))
    few = np.concatenate([[i for i, prompt in enumerate(table.prompts) if word in prompt][:4] for word in ("integral", "colour")])
    return replace(table.take(few), background=ScoreTable(("a", "b", "c"), prompts, table.groups, scores))


def test_a_background_tells_hard_words_that_too_few_labels_cannot(table: ScoreTable):
    informed = with_background(table)
    rows, hard = np.arange(len(informed)), np.array([group == "hard" for group in table.groups])
    informed.scores[:] = [[1.0, 0.0]] * 4 + [[1.0, 1.0]] * 4
    apart = {}
    for name, data in {"informed": informed, "alone": replace(informed, background=None)}.items():
        fit = LogisticFitter(data, {**OPTIONS, "background_scale": 3.0}, {}).fit(rows)
        router = fit.router(fit.signals(rows), rows)
        z = np.array([router.logits(prompt)[1] for prompt in table.prompts])
        apart[name] = (z[~hard].mean() - z[hard].mean()) / z.std()
        served = np.array([router.logits(prompt) for prompt in data.prompts])
        assert np.abs(served - np.column_stack([head.decision_function(fit.inputs(rows)) for head in fit.heads])).max() <= 1e-9
        assert set(router.arrays()) == set(drawn_router().arrays()), "it folds into the table"
    assert apart["informed"] > apart["alone"] + 0.3


def test_questions_of_the_table_take_no_part_in_its_background(table: ScoreTable):
    informed = with_background(table)
    assert informed.background is not None
    same = ScoreTable(("a",), [*informed.prompts], informed.groups, 1.0 - informed.scores[:, :1])
    rest = informed.background
    both = ScoreTable(("a",), [*same.prompts, *rest.prompts], [*same.groups, *rest.groups], np.vstack([same.scores, rest.scores[:, :1]]))
    alone = ScoreTable(("a",), rest.prompts, rest.groups, rest.scores[:, :1])
    one, other = (LogisticFitter(replace(informed, background=b), OPTIONS, {}).hardness for b in (both, alone))
    assert one is not None and other is not None and np.array_equal(one, other)
    with pytest.raises(ValueError, match="no question that the training data has not"):
        LogisticFitter(replace(informed, background=same), OPTIONS, {})


def test_a_model_that_is_always_right_can_be_fitted():
    data = ScoreTable(("s", "w"), [f"prompt {i}" for i in range(60)], [""] * 60, np.array([[1.0, 0.0]] * 60))
    assert fitted(data).quality(["prompt 3"])[0] == pytest.approx([1.0, 0.0], abs=0.2)


def test_the_parts_of_an_answer_add_up_to_its_logits():
    router = drawn_router()
    parts = router.parts("Which parts add up?")
    total = sum(p for _, p in parts) + router.arrays()["intercept"]
    assert total == pytest.approx(router.logits("Which parts add up?"))
    assert abs(parts[0][1][0] - parts[0][1][1]) >= abs(parts[-1][1][0] - parts[-1][1][1])


def test_the_sigmoid_does_not_overflow():
    assert sigmoid(-1e6) == 0.0 and sigmoid(1e6) == 1.0 and sigmoid(0.0) == 0.5
    assert sigmoid(2.0) == pytest.approx(1 / (1 + math.exp(-2)))


def test_a_score_beyond_those_of_held_out_training_prompts_is_out_of_domain():
    router = drawn_router()
    rng = np.random.default_rng(2)
    raw = np.column_stack([rng.uniform(0.7, 0.9, 4000), rng.uniform(0.5, 0.7, 4000)])
    signals = np.column_stack([raw, np.full(4000, 5.0), np.zeros(4000)])
    knotted = router.with_knots(signals, (rng.uniform(size=(4000, 2)) < (0.8, 0.6)).astype(float))
    # Drawn weights give scores all over -1..1, most of them outside the 0..0.4 of those rows.
    prompts = [f"question number {i} about {'abcdefgh'[i % 8] * (i % 13)}" for i in range(300)]
    outside = [not 0.0 < router.signals(p)[0] - router.signals(p)[1] < 0.4 for p in prompts]
    assert any(outside) and all(knotted.is_out_of_domain(p) for p, out in zip(prompts, outside) if out)
    assert not any(router.is_out_of_domain(p) for p in prompts)


def test_a_single_model_has_no_score_range_to_leave(table: ScoreTable):
    many = np.tile(table.scores[:, :1], (4, 1))
    data = ScoreTable(("only",), [f"{p} {i}" for i in range(4) for p in table.prompts], [""] * len(many), many)
    rows = np.arange(len(data))
    fit = LogisticFitter(data, OPTIONS, {}).fit(rows)
    router = fit.router(fit.signals(rows), rows)
    assert router.quality(data.prompts[:20]).shape == (20, 1)
    assert np.mean([router.is_out_of_domain(p) for p in data.prompts]) < 0.05
