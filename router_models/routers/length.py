"""`length`: prompt length alone, longer prompts to the strong model; the baseline that a learned router has to beat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Knots, PairCalibration, PairQualities, fit_pair
from router_models.embedding import Embedders
from router_models.routers.base import Arrays, FamilyRouter, Rows, check_options
from router_models.table import ScoreTable

SCORE_RANGE = (0.0, 30.0)
"""log(1 + characters) of the empty prompt and of one no machine could hold."""

UNTRAINED = PairCalibration(
    score=(0.0, 3.0, 6.0, 9.0, 30.0),
    win_rate=(0.0, 0.1, 0.2, 0.4, 1.0),
    gain=(-0.05, 0.06, 0.16, 0.36, 1.0),
    raw_level=(0.0, 1.0),
    level=(0.0, 1.0),
)
"""Plausible knots for use without data: about one question in five is won by a strong model at 400 characters."""

LEVEL_UNTRAINED = 0.7


class LengthRouter(FamilyRouter):
    """Gain rises with log(1 + characters), by knots; both models are equally good on average at any length."""

    kind: ClassVar[str] = "length"
    weakness: ClassVar[str] = "sees no content: short hard questions look easy, long chatter looks hard"

    def __init__(
        self, models: tuple[str, ...] = ("strong", "weak"), calibration: PairCalibration = UNTRAINED, level: float = LEVEL_UNTRAINED
    ) -> None:
        if len(models) != 2:
            raise ValueError(f"length compares two models, not {len(models)}; for more use domain_table or ridge")
        self.models = models
        self._calibration, self._level = calibration, level
        self._qualities = PairQualities(calibration)

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return log(1 + characters)."""
        return (math.log1p(len(prompt)),)

    def combine(self, signals: tuple[float, ...]) -> tuple[float, ...]:
        """Return (q_strong, q_weak) from the length."""
        return self._qualities(signals[0], self._level)

    def gain_knots(self) -> Knots:
        """Return the calibration's knots."""
        return self._calibration.gain_knots()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing to store as arrays."""
        return {}

    def options(self) -> dict[str, Any]:
        """Return knots and level."""
        return {"calibration": self._calibration.to_json(), "level": self._level}

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored options."""
        return cls(models, PairCalibration.from_json(options["calibration"]), float(options["level"]))


class LengthFitter:
    """Has no weights to learn; only the knots are fitted."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        check_options("length", options, [])
        self._data = data
        self._logs = np.log1p(np.array([len(prompt) for prompt in data.prompts], dtype=np.float64)).reshape(-1, 1)

    def fit(self, rows: Rows) -> LengthFitter:
        """Nothing to learn before calibration."""
        return self

    def signals(self, rows: Rows) -> NDArray[np.float64]:
        """Return log(1 + characters), one column."""
        return self._logs[rows]

    def router(self, signals: NDArray[np.float64], rows: Rows) -> LengthRouter:
        """Fit the knots on `rows`."""
        scores = self._data.scores[rows]
        level = scores.mean(axis=1)
        calibration = fit_pair(signals[:, 0], level, scores[:, 0], scores[:, 1], SCORE_RANGE)
        return LengthRouter(self._data.models, replace(calibration, raw_level=(0.0, 1.0), level=(0.0, 1.0)), float(level.mean()))
