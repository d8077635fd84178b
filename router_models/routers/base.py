"""What every router of the family can do besides answering: be saved, be restored, be trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Knots
from router_models.table import ScoreTable

Arrays = Mapping[str, NDArray[Any]]
Rows = NDArray[np.int64]
"""Row numbers of a ScoreTable."""


class FamilyRouter(ABC):
    """A router with a constructor from stored arrays and options.

    Subclasses answer one prompt at a time in `quality_one`; `quality` loops over it, which keeps both equal to the last bit and is
    still beyond 50,000 prompts a second where one answer costs less than 20 us.
    """

    kind: ClassVar[str]
    """Key in the registry."""
    weakness: ClassVar[str]
    """What this router is not good at, in one sentence for people."""
    models: tuple[str, ...]

    @abstractmethod
    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return what the router computes from a prompt, before calibration."""

    @abstractmethod
    def combine(self, signals: tuple[float, ...]) -> tuple[float, ...]:
        """Turn signals into the quality of each model, in [0, 1]."""

    def quality_one(self, prompt: str) -> tuple[float, ...]:
        """Return the quality of each model for one prompt, Python floats in [0, 1]."""
        return self.combine(self.signals(prompt))

    def quality(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Return qualities, float64, shape (len(prompts), len(models))."""
        if not prompts:
            return np.empty((0, len(self.models)), dtype=np.float64)
        return np.array([self.quality_one(prompt) for prompt in prompts], dtype=np.float64)

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be stored in arrays.npz."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return what must be stored in card.json: numbers, text, lists."""

    def gain_knots(self) -> Knots:
        """Return (win rate, gain) knots for the card; empty when there are not exactly two models."""
        return ()

    def feature_hash(self) -> str:
        """Return the digest of the features that this router reads; empty when it hashes nothing."""
        return ""

    @classmethod
    @abstractmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays) -> Self:
        """Build the router from what `arrays` and `options` returned.

        Raises: KeyError, TypeError or ValueError when they do not fit together.
        """


class Fit(Protocol):
    """A model fitted on some rows, not yet calibrated."""

    def signals(self, rows: Rows) -> NDArray[np.float64]:
        """Return the router's signals for rows of the table, one row each."""
        ...

    def router(self, signals: NDArray[np.float64], rows: Rows) -> FamilyRouter:
        """Calibrate on signals of rows that were held out when they were computed, and return the router that serves."""
        ...


class Fitter(Protocol):
    """Learns from rows of one table; what can be computed once per table is computed by the constructor."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any]) -> None: ...

    def fit(self, rows: Rows) -> Fit:
        """Fit on the given rows only."""
        ...
