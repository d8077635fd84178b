"""Trains a recipe: cross-fit for honest signals, calibrate on them, fit once more on everything, write the card.

Signals for calibration come from models that did not see the row (folds of the question stem), so knots, sample and metrics on the card
describe unseen questions. The final weights are fitted on all folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_models.artifact import Artifact
from router_models.calibration import WIN_LABEL
from router_models.card import SAMPLE_ROWS_MAX, SCHEMA_VERSION, Card, Golden, Source, win_rates
from router_models.embedding import Embedders
from router_models.metrics import apgr, brier, cpt, drawn_apgr, interval, resamples
from router_models.recipe import Recipe
from router_models.routers.base import FamilyRouter, Rows
from router_models.routers.logistic import LogisticRouter
from router_models.routers.registry import FITTERS
from router_models.split import FOLDS, fold, stem_key
from router_models.table import ScoreTable
from router_models.threads import one_thread

GOLDEN_PROMPTS = (
    "",
    "Hi!",
    "What is the capital of France?",
    "Prove that the square root of 2 is irrational.",
    "def f(xs):\n    return sorted(xs)[::-1]\n\nWhat does f([3, 1, 2]) return?",
    "Ein Händler kauft 12 Äpfel für 3 €. Wie viel kostet einer?",
    "次の文章を要約してください。",
    "nul \0 and a lone surrogate \ud800",
    "Summarise the following minutes. " + "The committee met and agreed on nothing in particular. " * 200,
)
"""Prompts of our own words whose qualities every artifact records and every load reproduces."""

WEIGHTED = frozenset({"logistic", "ridge"})
"""Routers whose weights and knots honour row weights; the others refuse them."""
ADAPT_ROWS_MIN = 50
"""Labelled prompts without which an adapted router would be noise."""
BOOTSTRAP_DRAWS = 400
SEED = 1


@dataclass(frozen=True)
class Trained:
    """A router, its card before hashing, and what must be stored."""

    router: FamilyRouter
    card: Card
    held_out: NDArray[np.float64]
    """Qualities of the training rows by models that did not see them, shape (rows, models)."""


@one_thread()
def train(
    recipe: Recipe, data: ScoreTable, sources: Sequence[Source], say: Callable[[str], None], embedders: Embedders | None = None
) -> Trained:
    """Train the recipe on every row of `data` (held-out folds must be gone already).

    Args:
        say: gets one line per step.
    Raises: ValueError when kind or options are unknown, or the data has fewer rows than folds.
    """
    if recipe.kind not in FITTERS:
        raise ValueError(f"unknown router {recipe.kind!r}; known are {sorted(FITTERS)}")
    if recipe.kind not in WEIGHTED and data.weights is not None and np.ptp(data.weights) > 0.0:
        raise ValueError(f"{recipe.kind} cannot weight rows; train one of {sorted(WEIGHTED)}, or leave out the column 'weight'")
    folds = np.array([fold(prompt) for prompt in data.prompts])
    present = [k for k in range(FOLDS) if np.any(folds == k)]
    if len(present) < 2:
        raise ValueError("needs rows in at least two folds of the question stem to calibrate honestly")
    say(f"features of {len(data)} prompts")
    fitter = FITTERS[recipe.kind](data, recipe.options, embedders or {})
    parts: list[tuple[Rows, NDArray[np.float64]]] = []
    for k in present:
        say(f"cross-fit without fold {k}")
        unseen = np.flatnonzero(folds == k)
        parts.append((unseen, fitter.fit(np.flatnonzero(folds != k)).signals(unseen)))
    rows = np.concatenate([rows for rows, _ in parts])
    signals = np.concatenate([signals for _, signals in parts])[np.argsort(rows)]
    everything = np.arange(len(data))
    say("final fit and calibration")
    router = fitter.fit(everything).router(signals, everything)
    held_out = np.array([router.combine(tuple(row)) for row in signals.tolist()], dtype=np.float64)
    return Trained(router, _card(recipe, data, router, held_out, sources), held_out)


@one_thread()
def adapt(artifact: Artifact, labels: ScoreTable, sources: Sequence[Source], say: Callable[[str], None]) -> Trained:
    """Adapt a trained artifact to other traffic with a few hundred labelled prompts of it (`LogisticRouter.adapted`).

    The card tells what the adapted router does on labelled prompts that it did not see, and keeps the questions of both trainings.

    Raises: ValueError when the router cannot be adapted or the labels are too few or of another number of models.
    """
    router, card = artifact.router, artifact.card
    if not isinstance(router, LogisticRouter):
        raise ValueError(f"a {card.kind} router cannot be adapted; train it again, or adapt a logistic or ridge artifact")
    if len(labels) < ADAPT_ROWS_MIN or len(labels.models) != len(card.models):
        raise ValueError(f"needs at least {ADAPT_ROWS_MIN} labelled prompts with {len(card.models)} scores each, not {len(labels)}")
    if labels.weights is not None and np.ptp(labels.weights) > 0.0:
        raise ValueError("adapting cannot weight rows; leave out the column 'weight'")
    parts = np.array([fold(prompt) for prompt in labels.prompts])
    held_out = np.empty(labels.scores.shape)
    for part in np.unique(parts):
        say(f"adapt without fold {part}")
        unseen, known = np.flatnonzero(parts == part), labels.take(np.flatnonzero(parts != part))
        held_out[unseen] = answers(router.adapted(known.prompts, known.scores, None, known.chats), labels.take(unseen))
    again = router.adapted(labels.prompts, labels.scores, labels.models, labels.chats)
    recipe = Recipe(card.kind, {**dict(card.recipe.get("options", {})), "adapted_from": card.artifact_id})
    made = _card(recipe, labels, again, held_out, [*card.data, *sources])
    return Trained(again, replace(made, stems=np.union1d(card.stems, made.stems)), held_out)


def answers(router: FamilyRouter, table: ScoreTable) -> NDArray[np.float64]:
    """Return the router's qualities of a table's prompts, each with what surrounds it; shape (rows, models)."""
    return router.quality(table.prompts, table.chats)


def _card(recipe: Recipe, data: ScoreTable, router: FamilyRouter, held_out: NDArray[np.float64], sources: Sequence[Source]) -> Card:
    rng = np.random.default_rng(SEED)
    picked = np.sort(rng.permutation(len(data))[:SAMPLE_ROWS_MAX])
    background = data.background.prompts if data.background is not None else ()
    draft = Card(
        artifact_id="",
        schema_version=SCHEMA_VERSION,
        kind=recipe.kind,
        models=data.models,
        label=WIN_LABEL,
        gain_knots=router.gain_knots(),
        sample=held_out[picked],
        score_quantiles=(),
        golden=tuple(Golden(prompt, router.signals(prompt), router.quality_one(prompt)) for prompt in GOLDEN_PROMPTS),
        metrics={},
        data=tuple(sources),
        feature_hash=router.feature_hash(),
        options=router.options(),
        recipe=recipe.to_json(),
        arrays_sha256="",
        stems=np.unique(np.array([stem_key(prompt) for prompt in [*data.prompts, *background]], dtype=np.uint64)),
    )
    values = {name: getattr(draft, name) for name in draft.__dataclass_fields__ if not name.startswith("_")}
    if draft.gain_knots:
        win = win_rates(draft, held_out)
        values["score_quantiles"] = tuple(np.quantile(win, np.linspace(0.0, 1.0, 101)).tolist())
        values["metrics"] = {"cross_fit": pair_metrics(win, data)}
    return Card(**values)


def pair_metrics(win_rate: NDArray[np.float64], data: ScoreTable) -> dict[str, Any]:
    """Return rows, APGR with its 95 % interval, CPT(50 %), CPT(80 %) and the win rate's Brier score."""
    strong, weak = data.scores[:, 0], data.scores[:, 1]
    wins = (strong > weak).astype(np.float64)
    if float((strong - weak).sum()) == 0.0:
        # Neither model is better: there is no gap to recover, so neither PGR nor CPT exists.
        return {"rows": len(data), "brier": brier(win_rate, wins)}
    draws = drawn_apgr(win_rate, strong, weak, resamples(None, len(data), BOOTSTRAP_DRAWS, SEED))
    return {
        "rows": len(data),
        "apgr": apgr(win_rate, strong, weak),
        "apgr_interval": list(interval(draws)),
        "cpt_50": cpt(win_rate, strong, weak, 0.5),
        "cpt_80": cpt(win_rate, strong, weak, 0.8),
        "brier": brier(win_rate, wins),
    }
