"""A small made-up table of scored prompts whose gain truly depends on the words in them."""

import numpy as np
import pytest

from router_models.table import ScoreTable

HARD = ("integral", "theorem", "enzyme", "statute")
EASY = ("colour", "weather", "lunch", "greeting")


def made_up(rows: int = 600, seed: int = 7) -> ScoreTable:
    """Hard words: the weak model fails more often; both models are random otherwise."""
    rng = np.random.default_rng(seed)
    prompts, scores = [], []
    for i in range(rows):
        hard = bool(rng.uniform() < 0.5)
        word = str(rng.choice(HARD if hard else EASY))
        prompts.append(f"Question {i}: tell me about the {word} of number {rng.integers(1000)}, please?")
        scores.append([float(rng.uniform() < 0.9), float(rng.uniform() < (0.35 if hard else 0.85))])
    return ScoreTable(("strong", "weak"), prompts, ["hard" if any(w in p for w in HARD) else "easy" for p in prompts], np.array(scores))


@pytest.fixture(scope="session")
def table() -> ScoreTable:
    return made_up()
