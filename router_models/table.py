"""Prompts with a score per model: the one form in which training and evaluation see their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router_models.conversation import ALONE, Chat


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Rows of scored prompts, strong model's column first."""

    models: tuple[str, ...]
    prompts: Sequence[str]
    groups: Sequence[str]
    """Subject or task of each row; empty text where the source names none."""
    scores: NDArray[np.float64]
    """Shape (rows, models), each in [0, 1]."""
    weights: NDArray[np.float64] | None = None
    """Shape (rows,), positive; how often a row counts in training. None: once each."""
    costs: NDArray[np.float64] | None = None
    """Shape (rows, models), dollars per call; None where the source names none."""
    chats: Sequence[Chat] | None = None
    """What surrounds each prompt; None where all are lone questions."""
    background: ScoreTable | None = None
    """Prompts that other models answered: not to learn these models' answers from, but what makes a prompt hard."""

    def __post_init__(self) -> None:
        rows, models = len(self.prompts), len(self.models)
        if self.scores.shape != (rows, models) or len(self.groups) != rows:
            raise ValueError(f"{rows} prompts, {len(self.groups)} groups, scores of shape {self.scores.shape}")
        if self.weights is not None and self.weights.shape != (rows,):
            raise ValueError(f"{rows} prompts, weights of shape {self.weights.shape}")
        if self.costs is not None and self.costs.shape != (rows, models):
            raise ValueError(f"{rows} prompts, costs of shape {self.costs.shape}")
        if self.chats is not None and len(self.chats) != rows:
            raise ValueError(f"{rows} prompts, facts of {len(self.chats)} conversations")

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: NDArray[np.int64]) -> ScoreTable:
        """Return the given rows in the given order."""
        weights = self.weights[rows] if self.weights is not None else None
        costs = self.costs[rows] if self.costs is not None else None
        prompts, groups = [self.prompts[r] for r in rows], [self.groups[r] for r in rows]
        chats = [self.chats[r] for r in rows] if self.chats is not None else None
        return ScoreTable(self.models, prompts, groups, self.scores[rows], weights, costs, chats, self.background)


def joined(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Return the rows of several tables of the same models, one after the other.

    Raises: ValueError when the models differ.
    """
    first = tables[0]
    if any(table.models != first.models for table in tables):
        raise ValueError("tables of different models cannot be joined")
    chats = [chat for t in tables for chat in (t.chats or [ALONE] * len(t))]
    weights = [t.weights if t.weights is not None else np.ones(len(t)) for t in tables]
    return ScoreTable(
        first.models,
        [prompt for table in tables for prompt in table.prompts],
        [group for table in tables for group in table.groups],
        np.concatenate([table.scores for table in tables]),
        np.concatenate(weights) if any(t.weights is not None for t in tables) else None,
        np.concatenate([t.costs for t in tables if t.costs is not None]) if all(t.costs is not None for t in tables) else None,
        chats if any(t.chats is not None for t in tables) else None,
    )
