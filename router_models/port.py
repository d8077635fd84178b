"""The port that every router stands behind: prompts in, one quality per model out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ArtifactError(ValueError):
    """An artifact cannot be used; the message says what is wrong and what to do."""


class Router(Protocol):
    """Estimates, for each model, how good its answer to a prompt would be."""

    models: tuple[str, ...]
    """Names in column order, strong first."""

    def quality(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Estimate the expected score of each model's answer.

        Returns: float64, shape (len(prompts), len(models)), each in [0, 1], rows in the order given; deterministic.
        """
        ...

    def quality_one(self, prompt: str) -> tuple[float, ...]:
        """Answer for one prompt as Python floats, bit for bit row 0 of `quality([prompt])`; the serving path."""
        ...
