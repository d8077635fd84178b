"""Two topics that decide which of two models is good, for the routers that look at neighbours."""

import numpy as np
import pytest

from router_models.table import ScoreTable


@pytest.fixture(scope="session")
def topics() -> ScoreTable:
    rng = np.random.default_rng(5)
    prompts, scores = [], []
    for i in range(300):
        law = i % 2 == 0
        words = "civil procedure statute court appeal" if law else "botany fern leaf spore meadow"
        prompts.append(f"{words} question {rng.integers(10_000)}")
        scores.append([float(rng.uniform() < 0.9), float(rng.uniform() < (0.2 if law else 0.9))])
    return ScoreTable(("s", "w"), prompts, [""] * 300, np.array(scores))
