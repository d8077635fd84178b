import numpy as np

from router_models.artifact import builtin
from router_models.recipe import Recipe
from router_models.serving import (
    CORRUPTIONS,
    exported_difference,
    import_cost,
    microseconds,
    of_length,
    prompts_per_second,
    refused_corruptions,
    trained_on,
)
from router_models.table import ScoreTable

SMALL = Recipe("logistic", {"buckets_log2": 9, "orders": [4]})


def test_one_answer_of_the_builtin_costs_less_than_a_tenth_of_a_millisecond(table: ScoreTable):
    router = builtin().router
    taken = microseconds(router, table.prompts)
    assert 0.5 < np.median(taken) < 100.0
    assert prompts_per_second(router, table.prompts) > 5_000


def test_prompts_of_a_length_have_that_length(table: ScoreTable):
    assert {len(p) for p in of_length(table, 8192)} == {8192}
    typical = len(table.prompts[0])
    assert all(abs(len(p) - typical) <= 0.05 * typical for p in of_length(table, typical))


def test_the_export_agrees_with_scikit_learn(table: ScoreTable):
    assert exported_difference(SMALL, table) <= 1e-9


def test_every_damaged_copy_is_refused(table: ScoreTable):
    assert refused_corruptions(trained_on(SMALL, table)) == CORRUPTIONS


def test_serving_imports_nothing_heavy():
    milliseconds, heavy = import_cost()
    assert heavy == () and milliseconds < 1000.0
