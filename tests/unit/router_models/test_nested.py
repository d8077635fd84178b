from pathlib import Path

import numpy as np

from router_models.nested import grid, nested
from router_models.recipe import Recipe, read_recipe
from router_models.split import fold
from router_models.table import ScoreTable

SMALL = Recipe("logistic", {"buckets_log2": 9, "orders": [4]})
BLIND = Recipe("logistic", {"buckets_log2": 9, "orders": [4], "inverse_regularization": 1e-9})


def test_the_recipe_that_learns_is_chosen_over_the_one_that_cannot(table: ScoreTable):
    parts = np.array([fold(p) for p in table.prompts])
    found = nested([BLIND, SMALL], table, parts, lambda _: None)
    assert set(found.chosen) == set(range(5)) and all(recipe is SMALL for recipe in found.chosen.values())
    hard = np.array([group == "hard" for group in table.groups])
    assert found.gap[hard].mean() > found.gap[~hard].mean() + 0.05
    assert all(area > 0.6 for area in found.inner_apgr.values())


def test_the_outer_fold_takes_no_part_in_its_own_choice(table: ScoreTable):
    parts = np.array([fold(p) for p in table.prompts])
    lied = table.scores.copy()
    lied[parts == 2] = 1.0 - lied[parts == 2]
    other = ScoreTable(table.models, table.prompts, table.groups, lied)
    honest, told = (nested([BLIND, SMALL], t, parts, lambda _: None) for t in (table, other))
    assert honest.inner_apgr[2] == told.inner_apgr[2] and np.array_equal(honest.gap[parts == 2], told.gap[parts == 2])
    assert honest.inner_apgr[1] != told.inner_apgr[1]


def test_the_default_recipe_is_one_of_the_grid():
    recipe = read_recipe(Path(__file__).parents[3] / "config" / "routers" / "default.yaml")
    assert len(grid(recipe)) == 8 and recipe in grid(recipe)
