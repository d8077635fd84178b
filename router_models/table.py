"""Prompts with a score per model: the one form in which training and evaluation see their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Rows of scored prompts, strong model's column first."""

    models: tuple[str, ...]
    prompts: Sequence[str]
    groups: Sequence[str]
    """Subject or task of each row; empty text where the source names none."""
    scores: NDArray[np.float64]
    """Shape (rows, models), each in [0, 1]."""

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.prompts), len(self.models)) or len(self.groups) != len(self.prompts):
            raise ValueError(f"{len(self.prompts)} prompts, {len(self.groups)} groups, scores of shape {self.scores.shape}")

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: NDArray[np.int64]) -> ScoreTable:
        """Return the given rows in the given order."""
        return ScoreTable(self.models, [self.prompts[r] for r in rows], [self.groups[r] for r in rows], self.scores[rows])
