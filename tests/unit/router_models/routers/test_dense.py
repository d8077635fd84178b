from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from router_models.artifact import ArtifactError, load, save
from router_models.recipe import Recipe
from router_models.routers.dense import DenseFitter
from router_models.table import ScoreTable
from router_models.train import train


def letters(prompts: Sequence[str]) -> np.ndarray:
    """A stand-in for a sentence encoder: shares of a few letters."""
    return np.array([[p.count(c) / (len(p) + 1) for c in "civfern"] for p in prompts])


RECIPE = Recipe("dense", {"embedder": "letters", "inverse_regularization": 100.0})


def test_any_function_from_prompts_to_vectors_can_carry_the_heads(topics: ScoreTable, tmp_path: Path):
    trained = train(RECIPE, topics, [], lambda _: None, {"letters": letters})
    law, fern = trained.router.quality(["civil civic civil", "fern fern fern"])
    assert law[0] - law[1] > fern[0] - fern[1] + 0.2
    save(tmp_path, trained.card, trained.router.arrays())
    again = load(tmp_path, embedders={"letters": letters}).router
    assert np.array_equal(again.quality(topics.prompts[:9]), trained.router.quality(topics.prompts[:9]))


def test_an_artifact_never_brings_its_own_code(topics: ScoreTable, tmp_path: Path):
    trained = train(RECIPE, topics, [], lambda _: None, {"letters": letters})
    save(tmp_path, trained.card, trained.router.arrays())
    with pytest.raises(ArtifactError, match="pass embedders"):
        load(tmp_path)
    with pytest.raises(ArtifactError):
        load(tmp_path, embedders={"letters": lambda prompts: letters(prompts)[:, :2]})


def test_an_embedder_that_is_missing_or_talks_nonsense_is_refused(topics: ScoreTable):
    with pytest.raises(ValueError, match="--embedder"):
        DenseFitter(topics, {"embedder": "bert"}, {})
    with pytest.raises(ValueError, match="not finite"):
        DenseFitter(topics, {"embedder": "x"}, {"x": lambda prompts: np.full((len(prompts), 2), np.nan)})
    with pytest.raises(ValueError, match="shape"):
        DenseFitter(topics, {"embedder": "x"}, {"x": lambda prompts: np.zeros((1, 2))})
