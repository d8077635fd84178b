"""`dense`: logistic heads on any sentence embedding that the caller brings; the place for RouteLLM's bert-like routers.

The card stores the embedder's name and a fingerprint of its answers, never code: whoever loads the artifact passes the function itself
(`load(folder, embedders={name: function})`), so loading still executes nothing that came with the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Calibration, calibrate
from router_models.embedding import Embedder, Embedders
from router_models.routers.base import Arrays, CalibratedRouter, Floats, Rows, check_options, stored_calibration
from router_models.routers.logistic import sigmoid
from router_models.table import ScoreTable


class DenseRouter(CalibratedRouter):
    """Linear heads on foreign vectors."""

    kind: ClassVar[str] = "dense"
    weakness: ClassVar[str] = "costs what its embedder costs (a small transformer: some 50 ms a prompt on a CPU) and rarely repays it"

    def __init__(self, models: tuple[str, ...], name: str, embedder: Embedder, heads: Arrays, calibration: Calibration) -> None:
        """Take the heads: weights (m, d), intercept (m,)."""
        super().__init__(models, calibration)
        weights, intercept = heads["weights"], heads["intercept"]
        if weights.ndim != 2 or len(weights) != len(models) or intercept.shape != (len(models),):
            raise ValueError(f"heads have shapes {weights.shape}, {intercept.shape}")
        self._name, self._embedder, self._heads = name, embedder, {"weights": weights, "intercept": intercept}

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return the raw quality of each model."""
        vector = embedded(self._embedder, self._name, [prompt], self._heads["weights"].shape[1])[0]
        return tuple(map(sigmoid, (self._heads["weights"] @ vector + self._heads["intercept"]).tolist()))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the heads."""
        return dict(self._heads)

    def options(self) -> dict[str, Any]:
        """Return the embedder's name and the knots."""
        return {**super().options(), "embedder": self._name}

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored heads and the caller's embedder."""
        name = str(options["embedder"])
        if name not in embedders:
            raise ValueError(f"it needs the sentence embedding {name!r}: pass embedders={{{name!r}: function}} to load")
        return cls(models, name, embedders[name], arrays, stored_calibration(models, options))


class DenseFitter:
    """Embeds the table once with the caller's function."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        """Read the options: embedder (its name), inverse_regularization (scikit-learn's C)."""
        check_options("dense", options, ["embedder", "inverse_regularization"])
        self.data, self.name = data, str(options.get("embedder", ""))
        if self.name not in embedders:
            raise ValueError(f"dense needs options.embedder and --embedder NAME=MODULE:FUNCTION; got {self.name!r} of {sorted(embedders)}")
        self.embedder, self.strength = embedders[self.name], float(options.get("inverse_regularization", 1.0))
        self.vectors = embedded(self.embedder, self.name, data.prompts, None)

    def fit(self, rows: Rows) -> DenseFit:
        """Fit one head per model."""
        from sklearn.linear_model import LogisticRegression

        x, heads = self.vectors[rows], []
        for m in range(len(self.data.models)):
            y = self.data.scores[rows, m]
            weight = np.maximum(np.concatenate([y, 1.0 - y]), 1e-3)
            label = np.repeat([1.0, 0.0], len(y))
            heads.append(LogisticRegression(C=self.strength, max_iter=500).fit(np.vstack([x, x]), label, sample_weight=weight))
        weights = np.vstack([h.coef_[0] for h in heads])
        return DenseFit(self, {"weights": weights, "intercept": np.array([float(h.intercept_[0]) for h in heads])})


class DenseFit:
    """Heads, before calibration."""

    def __init__(self, fitter: DenseFitter, heads: dict[str, Floats]) -> None:
        self._fitter, self._heads = fitter, heads

    def signals(self, rows: Rows) -> Floats:
        """Return raw qualities per row."""
        z = self._fitter.vectors[rows] @ self._heads["weights"].T + self._heads["intercept"]
        raw: Floats = 1.0 / (1.0 + np.exp(-z))
        return raw

    def router(self, signals: Floats, rows: Rows) -> DenseRouter:
        """Fit the knots on held-out signals and return the router."""
        fitter = self._fitter
        return DenseRouter(fitter.data.models, fitter.name, fitter.embedder, self._heads, calibrate(signals, fitter.data.scores[rows]))


def embedded(embedder: Embedder, name: str, prompts: Sequence[str], dimensions: int | None) -> Floats:
    """Return the embedder's vectors as float64, checked for shape and finite numbers."""
    vectors = np.asarray(embedder(list(prompts)), dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(prompts) or (dimensions is not None and vectors.shape[1] != dimensions):
        raise ValueError(f"embedder {name!r} gave shape {vectors.shape} for {len(prompts)} prompts")
    if not np.all(np.isfinite(vectors)):
        raise ValueError(f"embedder {name!r} gave numbers that are not finite")
    return vectors
