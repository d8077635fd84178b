"""`random`: a win rate drawn from the prompt's own hash; the floor of every comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Knots
from router_models.embedding import Embedders
from router_models.routers.base import Arrays, FamilyRouter, Rows, check_options
from router_models.table import ScoreTable


class RandomRouter(FamilyRouter):
    """Gains spread evenly over -spread..spread around the mean gain; the same prompt always draws the same."""

    kind: ClassVar[str] = "random"
    weakness: ClassVar[str] = "is a coin: use it as a baseline, never to route"

    def __init__(self, models: tuple[str, ...] = ("strong", "weak"), seed: int = 0, qualities: tuple[float, float] = (0.8, 0.7)) -> None:
        if len(models) != 2:
            raise ValueError(f"random compares two models, not {len(models)}")
        self.models = models
        self._seed, self._means = seed, qualities
        strong, weak = qualities
        # Both qualities move by half of the draw, in opposite directions, and must stay in [0, 1].
        self._spread = min(strong, weak, 1.0 - strong, 1.0 - weak)
        if not self._spread > 0.0:
            raise ValueError(f"mean qualities must lie strictly inside 0..1, not {qualities}")

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return a number in [-1, 1) that depends on nothing but seed and prompt text."""
        digest = hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=8, salt=self._seed.to_bytes(16, "little")).digest()
        return (int.from_bytes(digest, "little") / 2**63 - 1.0,)

    def combine(self, signals: tuple[float, ...]) -> tuple[float, ...]:
        """Return the mean qualities, moved apart or together by the draw."""
        move = self._spread * signals[0]
        strong, weak = self._means
        return min(max(strong + move, 0.0), 1.0), min(max(weak - move, 0.0), 1.0)

    def gain_knots(self) -> Knots:
        """Return a straight line over the gains that can be drawn: the win rate is the draw itself."""
        gain, reach = self._means[0] - self._means[1], 2.0 * self._spread
        return ((0.0, gain - reach), (1.0, gain + reach))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing to store as arrays."""
        return {}

    def options(self) -> dict[str, Any]:
        """Return seed and mean qualities."""
        return {"seed": self._seed, "qualities": list(self._means)}

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored options."""
        strong, weak = options["qualities"]
        return cls(models, int(options["seed"]), (float(strong), float(weak)))


class RandomFitter:
    """Takes the mean qualities of the training rows."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        check_options("random", options, ["seed"])
        self._data, self._seed = data, int(options.get("seed", 0))

    def fit(self, rows: Rows) -> RandomFit:
        """Average the scores of `rows`."""
        strong, weak = self._data.scores[rows].mean(axis=0).tolist()
        return RandomFit(self._data, RandomRouter(self._data.models, self._seed, (strong, weak)))


class RandomFit:
    """A coin with known means."""

    def __init__(self, data: ScoreTable, router: RandomRouter) -> None:
        self._data, self._router = data, router

    def signals(self, rows: Rows) -> NDArray[np.float64]:
        """Return the draws, one column."""
        return np.array([self._router.signals(self._data.prompts[row]) for row in rows], dtype=np.float64).reshape(-1, 1)

    def router(self, signals: NDArray[np.float64], rows: Rows) -> RandomRouter:
        """Return the router; a coin has nothing to calibrate."""
        return self._router
