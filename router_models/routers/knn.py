"""`knn`: the mean scores of the training prompts most like this one, weighted by similarity and shrunk towards the overall mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Calibration, calibrate
from router_models.embedding import DIMENSIONS, Embedders, LatentEmbedding, fit_latent
from router_models.routers.base import Arrays, CalibratedRouter, Floats, Rows, check_options, stored_calibration
from router_models.table import ScoreTable

SHARPNESS = 8.0
"""Weight of a neighbour is exp(SHARPNESS * cosine): one 0.1 closer weighs about twice as much."""


class NearestRouter(CalibratedRouter):
    """Keeps every training prompt as a vector with its scores."""

    kind: ClassVar[str] = "knn"
    weakness: ClassVar[str] = "scans all training prompts (about 10 us per 1,000) and knows nothing where it has no neighbours"

    def __init__(
        self, models: tuple[str, ...], embedding: LatentEmbedding, points: Arrays, neighbours: int, shrink: float, calibration: Calibration
    ) -> None:
        """Take the memory.

        Args:
            points: vectors (n, d), unit rows; scores (n, m).
            neighbours: how many count, at most n.
            shrink: overall mean counts as this many average neighbours.
        """
        super().__init__(models, calibration)
        vectors, scores = points["vectors"], points["scores"]
        if vectors.ndim != 2 or scores.shape != (len(vectors), len(models)) or vectors.shape[1] != embedding.table.shape[1]:
            raise ValueError(f"vectors {vectors.shape} and scores {scores.shape} do not fit")
        if neighbours < 1 or not len(vectors) or shrink < 0.0:
            raise ValueError("needs at least one neighbour and a shrinkage that is not negative")
        self._embedding, self._points = embedding, {"vectors": vectors, "scores": scores}
        self._vectors, self._scores = vectors.astype(np.float32), scores.astype(np.float64)
        self._neighbours, self._shrink = min(neighbours, len(vectors)), shrink
        self._mean = self._scores.mean(axis=0)

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return the shrunk neighbour mean of each model's score."""
        found: list[float] = self.nearest(self._embedding.embed(prompt)).tolist()
        return tuple(found)

    def nearest(self, vector: Floats) -> Floats:
        """Return the shrunk weighted mean score around a unit vector, shape (m,)."""
        similarity = self._vectors @ vector.astype(np.float32)
        k = self._neighbours
        near = np.argpartition(-similarity, k - 1)[:k]
        weight = np.exp(SHARPNESS * (similarity[near].astype(np.float64) - 1.0))
        # The prior weighs as much as `shrink` neighbours of this prompt do on average.
        prior = self._shrink * float(weight.mean())
        mixed: Floats = (weight @ self._scores[near] + prior * self._mean) / (float(weight.sum()) + prior)
        return np.clip(mixed, 0.0, 1.0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return embedding, vectors and scores."""
        return {**self._embedding.arrays(), **self._points}

    def options(self) -> dict[str, Any]:
        """Return feature spec, knots and constants."""
        own = {"features": self._embedding.options(), "neighbours": self._neighbours, "shrink": self._shrink}
        return {**super().options(), **own}

    def feature_hash(self) -> str:
        """Return the digest of the embedding's features."""
        return self._embedding.spec.digest()

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored vectors."""
        embedding = LatentEmbedding.restore(options["features"], arrays)
        calibration, shrink = stored_calibration(models, options), float(options["shrink"])
        if not math.isfinite(shrink):
            raise ValueError("shrink is not finite")
        return cls(models, embedding, arrays, int(options["neighbours"]), shrink, calibration)


class NearestFitter:
    """Embeds the table once, from prompts alone."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        """Read the options: neighbours, shrink, dimensions."""
        check_options("knn", options, ["neighbours", "shrink", "dimensions"])
        self.data = data
        self.neighbours, self.shrink = int(options.get("neighbours", 150)), float(options.get("shrink", 10.0))
        # Learned from prompts without scores, so rows held out later may take part.
        self.embedding = fit_latent(data.prompts, int(options.get("dimensions", DIMENSIONS)))
        self.vectors = self.embedding.embed_all(data.prompts)

    def fit(self, rows: Rows) -> NearestFit:
        """Remember `rows`."""
        return NearestFit(self, rows)


class NearestFit:
    """A memory that is not calibrated yet."""

    def __init__(self, fitter: NearestFitter, rows: Rows) -> None:
        self._fitter, self._rows = fitter, rows

    def signals(self, rows: Rows) -> Floats:
        """Return neighbour means per row."""
        scores = self._fitter.data.scores[self._rows]
        probe = self._build(calibrate(scores, scores))
        return np.array([probe.nearest(vector) for vector in self._fitter.vectors[rows]])

    def router(self, signals: Floats, rows: Rows) -> NearestRouter:
        """Fit the knots on held-out signals and return the router."""
        return self._build(calibrate(signals, self._fitter.data.scores[rows]))

    def _build(self, calibration: Calibration) -> NearestRouter:
        fitter = self._fitter
        points = {"vectors": fitter.vectors[self._rows].astype(np.float32), "scores": fitter.data.scores[self._rows].astype(np.float32)}
        return NearestRouter(fitter.data.models, fitter.embedding, points, fitter.neighbours, fitter.shrink, calibration)
