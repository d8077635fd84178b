"""Nested cross-validation: what the *procedure* "choose a recipe by inner cross-validation, then train it" is worth on unseen folds.

A recipe that was chosen by cross-validation and then reported on the same folds looks a little better than it is. Here each outer fold is
answered by the recipe that the other four folds chose among GRID, by the APGR of their own four-fold cross-validation; the outer fold takes
no part in that choice. A model fitted without two folds answers the first for the second's choice and the second for the first's, so ten
fits per recipe serve all five inner cross-validations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from router_models.metrics import apgr
from router_models.recipe import Recipe
from router_models.routers.registry import FITTERS
from router_models.table import ScoreTable

Floats = NDArray[np.float64]

STRENGTHS = (0.12, 0.25)
"""scikit-learn's C."""
SURFACE_SCALES = (0.04, 0.075)
ORDERS = ((3, 5), (4,))


def grid(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the recipes to choose among: every combination of STRENGTHS, SURFACE_SCALES and ORDERS over the given recipe."""
    made = []
    for orders in ORDERS:
        for strength in STRENGTHS:
            for scale in SURFACE_SCALES:
                own = {"orders": list(orders), "inverse_regularization": strength, "surface_scale": scale}
                made.append(replace(recipe, options={**recipe.options, **own}))
    return tuple(made)


@dataclass(frozen=True, eq=False)
class Nested:
    """Answers of unseen folds, each by the recipe that the other folds chose."""

    gap: Floats
    """Raw strong minus weak quality, shape (n,)."""
    chosen: dict[int, Recipe]
    """Outer fold -> recipe."""
    inner_apgr: dict[int, float]
    """Outer fold -> APGR of the chosen recipe in the inner cross-validation."""


def nested(recipes: Sequence[Recipe], table: ScoreTable, parts: NDArray[np.int64], say: Callable[[str], None]) -> Nested:
    """Choose and answer, for each part.

    Args:
        table: two models, strong first.
        parts: part of each row; three parts at least.
    """
    names = np.unique(parts).tolist()
    strong, weak = table.scores[:, 0], table.scores[:, 1]
    best: dict[int, tuple[float, Recipe]] = {}
    for number, recipe in enumerate(recipes, start=1):
        say(f"nested: recipe {number} of {len(recipes)}")
        fitter = FITTERS[recipe.kind](table, recipe.options, {})
        inner = {part: np.full(len(table), np.nan) for part in names}
        for one, other in combinations(names, 2):
            fit = fitter.fit(np.flatnonzero((parts != one) & (parts != other)))
            for outside, answered in ((one, other), (other, one)):
                rows = np.flatnonzero(parts == answered)
                signals = fit.signals(rows)
                inner[outside][rows] = signals[:, 0] - signals[:, 1]
        for part in names:
            known = parts != part
            area = apgr(inner[part][known], strong[known], weak[known])
            if part not in best or area > best[part][0]:
                best[part] = (area, recipe)
    gap = np.empty(len(table))
    for part, (_, recipe) in best.items():
        say(f"nested: outer fold {part}")
        rows = np.flatnonzero(parts == part)
        signals = FITTERS[recipe.kind](table, recipe.options, {}).fit(np.flatnonzero(parts != part)).signals(rows)
        gap[rows] = signals[:, 0] - signals[:, 1]
    return Nested(gap, {p: r for p, (_, r) in best.items()}, {p: a for p, (a, _) in best.items()})
