"""`constant`: knows nothing about prompts; every answer is the models' mean quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Knots
from router_models.embedding import Embedders
from router_models.routers.base import Arrays, FamilyRouter, Rows, check_options
from router_models.table import ScoreTable

EDGE = 1e-3
"""How far the middle knot stays from the ends, so that the three stay strictly increasing."""


class ConstantRouter(FamilyRouter):
    """The same qualities for every prompt; budgets must then be met by share alone."""

    kind: ClassVar[str] = "constant"
    weakness: ClassVar[str] = "cannot tell prompts apart: any spend beyond a random split buys nothing"

    def __init__(self, models: tuple[str, ...], qualities: tuple[float, ...], win_rate: float | None = None) -> None:
        """Take the means.

        Args:
            models, qualities: one mean score in [0, 1] per model.
            win_rate: share of prompts where the first of two models is strictly better; None takes it as if the two erred independently.
        """
        if len(models) != len(qualities) or any(not 0.0 <= q <= 1.0 for q in qualities):
            raise ValueError(f"needs one quality in 0..1 for each of {models}, not {qualities}")
        self.models = models
        self._qualities = tuple(map(float, qualities))
        self._win_rate = qualities[0] * (1.0 - qualities[-1]) if win_rate is None else win_rate

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Nothing is computed from a prompt."""
        return ()

    def combine(self, signals: tuple[float, ...]) -> tuple[float, ...]:
        """Return the mean qualities."""
        return self._qualities

    def gain_knots(self) -> Knots:
        """Return three knots through the mean win rate and gain, so that a threshold still has a meaning."""
        if len(self.models) != 2:
            return ()
        win = min(max(self._win_rate, EDGE), 1.0 - EDGE)
        gain = min(max(self._qualities[0] - self._qualities[1], EDGE - 1.0), 1.0 - EDGE)
        return ((0.0, max(gain - win, -1.0)), (win, gain), (1.0, 1.0))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing to store as arrays."""
        return {}

    def options(self) -> dict[str, Any]:
        """Return means and win rate."""
        return {"qualities": list(self._qualities), "win_rate": self._win_rate}

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored options."""
        return cls(models, tuple(float(q) for q in options["qualities"]), float(options["win_rate"]))


class ConstantFitter:
    """Takes the means of the training rows."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        check_options("constant", options, [])
        self._data = data

    def fit(self, rows: Rows) -> ConstantFit:
        """Average the scores of `rows`."""
        scores = self._data.scores[rows]
        return ConstantFit(self._data, tuple(scores.mean(axis=0).tolist()), float((scores[:, 0] > scores[:, -1]).mean()))


class ConstantFit:
    """Means that were taken."""

    def __init__(self, data: ScoreTable, means: tuple[float, ...], win_rate: float) -> None:
        self._data, self._means, self._win_rate = data, means, win_rate

    def signals(self, rows: Rows) -> NDArray[np.float64]:
        """Return no columns."""
        return np.empty((len(rows), 0))

    def router(self, signals: NDArray[np.float64], rows: Rows) -> ConstantRouter:
        """Return the router; there is nothing to calibrate."""
        return ConstantRouter(self._data.models, self._means, self._win_rate)
