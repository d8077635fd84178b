import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from gateway.domain.catalog import Route, Router
from gateway.edges.scoring.scorer import ArtifactScorer, Scoring
from gateway.edges.scoring.share import ShareScorer
from router_models.artifact import builtin
from router_models.port import ArtifactError


def route(artifact: str, models: tuple[str, ...] = ("strong", "weak")) -> Route:
    return Route("auto", models, Router(artifact, 0.35))


def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    shutil.copytree(str(files("router_models") / "builtin"), folder)
    return folder


def test_the_builtin_router_scores_and_brings_gain_and_histogram():
    scored = Scoring().scored(route("builtin"), Path())
    strong, weak = scored.scorer.qualities("What is the capital of France?")
    assert 0.0 <= weak <= 1.0 and 0.0 <= strong <= 1.0
    assert not scored.scorer.is_fallback and scored.trouble is None
    assert scored.knots[0][0] == 0.0 and scored.knots[-1][0] == 1.0
    assert scored.sample.shape[1] == 2


def test_a_missing_artifact_is_answered_for_by_the_declared_share_and_said(tmp_path):
    scored = Scoring().scored(route("no/such/folder"), tmp_path)
    assert scored.scorer.is_fallback
    assert scored.trouble is not None and "no/such/folder" in scored.trouble


def test_an_artifact_that_was_loaded_once_may_vanish(tmp_path):
    folder, scoring = copied(tmp_path), Scoring()
    before = scoring.scored(route("mine"), tmp_path).scorer.qualities("hello")
    shutil.rmtree(folder)
    again = scoring.scored(route("mine"), tmp_path)
    assert not again.scorer.is_fallback
    assert again.scorer.qualities("hello") == before


def test_a_tampered_artifact_is_not_used(tmp_path):
    folder = copied(tmp_path)
    card = folder / "card.json"
    card.write_text(card.read_text().replace('"label"', '"lobel"', 1))
    assert Scoring().scored(route("mine"), tmp_path).scorer.is_fallback


def test_a_router_for_another_number_of_models_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="3 models"):
        Scoring().scored(route("builtin", ("a", "b", "c")), tmp_path)


def test_the_constant_router_says_the_same_for_every_prompt():
    scored = Scoring().scored(route("constant"), Path())
    assert scored.scorer.qualities("a") == scored.scorer.qualities("prove the theorem of ...")
    assert not scored.scorer.is_fallback


def test_a_router_that_raises_is_counted_and_answered_for():
    class Broken:
        models, reads_conversation = ("strong", "weak"), False

        def quality(self, prompts, conversations=None):
            raise RuntimeError

        def quality_one(self, prompt, conversation=None):
            raise RuntimeError

        def quality_many(self, prompts, conversations):
            raise RuntimeError

    fallback = ShareScorer(1.0, 2, "")
    scorer = ArtifactScorer("broken", Broken(), fallback)
    assert scorer.qualities("a") == fallback.qualities("a")
    assert scorer.errors == 1
    assert scorer.many(["a", "b"], [None, None]) == fallback.many(["a", "b"], [None, None]) and scorer.errors == 3


def test_prompts_that_came_together_are_answered_as_each_of_them_alone():
    scorer = ArtifactScorer("builtin", builtin().router, ShareScorer(0.3, 2, ""))
    prompts = [f"question {i}: what is {i} times {i + 1}?" for i in range(9)]
    together, alone = scorer.many(prompts, [None] * 9), [scorer.qualities(prompt) for prompt in prompts]
    assert np.abs(np.array(together) - np.array(alone)).max() <= 1e-9
