"""`similarity`: RouteLLM's sw_ranking, a Bradley-Terry model fitted for each prompt with similar prompts weighted more.

Each training prompt is a match between every two models, of which i gets (1 + score_i - score_j) / 2: a tie is half a win for both, as in
Chatbot Arena's ranking. A prompt's weight is 10 ** (sharpness * (cosine / largest cosine - 1)); the weighted wins decide the strengths by
the classical minorise-maximise steps. For two models this is the weighted share of wins.
Source: Ong et al., RouteLLM, arXiv:2406.18665, section 4.2; our own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Calibration, calibrate
from router_models.embedding import DIMENSIONS, Embedders, LatentEmbedding, fit_latent
from router_models.routers.base import Arrays, CalibratedRouter, Floats, Rows, check_options, stored_calibration
from router_models.table import ScoreTable

STEPS = 30
"""Minorise-maximise steps; the strengths of eleven models move less than 1e-3 after 20."""
PRIOR_SHARE = 0.02
"""Share of all weight that is added as drawn matches, so that a model without a win keeps a finite strength."""


class SimilarityRouter(CalibratedRouter):
    """Keeps every training prompt as a vector with its scores, and ranks the models anew for each prompt."""

    kind: ClassVar[str] = "similarity"
    weakness: ClassVar[str] = "scans all training prompts for each answer, and forgets how hard a prompt is for both: only who wins counts"

    def __init__(
        self, models: tuple[str, ...], embedding: LatentEmbedding, points: Arrays, sharpness: float, calibration: Calibration
    ) -> None:
        """Take the memory.

        Args:
            points: vectors (n, d), unit rows; scores (n, m), m >= 2.
            sharpness: decimal powers of weight between an unrelated and the most similar prompt.
        """
        super().__init__(models, calibration)
        vectors, scores = points["vectors"], points["scores"]
        if vectors.ndim != 2 or scores.shape != (len(vectors), len(models)) or vectors.shape[1] != embedding.table.shape[1]:
            raise ValueError(f"vectors {vectors.shape} and scores {scores.shape} do not fit")
        if len(models) < 2 or not len(vectors) or not 0.0 <= sharpness <= 30.0:
            raise ValueError("needs two models, one prompt and a sharpness in 0..30")
        self._embedding, self._points, self._sharpness = embedding, {"vectors": vectors, "scores": scores}, sharpness
        self._vectors = vectors.astype(np.float32)
        whole = scores.astype(np.float64)
        m = len(models)
        # won[n, i * m + j]: what i got against j on prompt n
        self._won = (0.5 * (1.0 + whole[:, :, None] - whole[:, None, :]) * (1.0 - np.eye(m))).reshape(len(whole), m * m)
        self._level = float(whole.mean())

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return each model's raw quality: the level of the training data, moved by its rank among models."""
        found: list[float] = self.rank(self._embedding.embed(prompt)).tolist()
        return tuple(found)

    def rank(self, vector: Floats) -> Floats:
        """Return each model's mean chance to beat another one, halved around the level, shape (m,)."""
        similarity = (self._vectors @ vector.astype(np.float32)).astype(np.float64)
        top = max(float(similarity.max()), 1e-9)
        weight = 10.0 ** (self._sharpness * (similarity / top - 1.0))
        m = len(self.models)
        wins = (weight @ self._won).reshape(m, m)
        prior = PRIOR_SHARE * (float(wins.sum()) + 1e-12) / (m * (m - 1))
        wins = wins + prior * (1.0 - np.eye(m))
        strength = np.ones(m)
        total = wins.sum(axis=1)
        games = wins + wins.T
        for _ in range(STEPS if m > 2 else 1):
            against = games / (strength[:, None] + strength[None, :])
            strength = total / against.sum(axis=1)
            strength /= strength.sum()
        chance = strength[:, None] / (strength[:, None] + strength[None, :])
        mean_chance = (chance.sum(axis=1) - 0.5) / (m - 1)
        ranked: Floats = np.clip(0.5 * self._level + 0.5 * mean_chance, 0.0, 1.0)
        return ranked

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return embedding, vectors and scores."""
        return {**self._embedding.arrays(), **self._points}

    def options(self) -> dict[str, Any]:
        """Return feature spec, knots and sharpness."""
        return {**super().options(), "features": self._embedding.options(), "sharpness": self._sharpness}

    def feature_hash(self) -> str:
        """Return the digest of the embedding's features."""
        return self._embedding.spec.digest()

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored vectors."""
        embedding = LatentEmbedding.restore(options["features"], arrays)
        return cls(models, embedding, arrays, float(options["sharpness"]), stored_calibration(models, options))


class SimilarityFitter:
    """Embeds the table once, from prompts alone."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        """Read the options: sharpness, dimensions."""
        check_options("similarity", options, ["sharpness", "dimensions"])
        self.data, self.sharpness = data, float(options.get("sharpness", 2.0))
        self.embedding = fit_latent(data.prompts, int(options.get("dimensions", DIMENSIONS)))
        self.vectors = self.embedding.embed_all(data.prompts)

    def fit(self, rows: Rows) -> SimilarityFit:
        """Remember `rows`."""
        return SimilarityFit(self, rows)


class SimilarityFit:
    """A memory that is not calibrated yet."""

    def __init__(self, fitter: SimilarityFitter, rows: Rows) -> None:
        self._fitter, self._rows = fitter, rows

    def signals(self, rows: Rows) -> Floats:
        """Return raw qualities per row."""
        scores = self._fitter.data.scores[self._rows]
        probe = self._build(calibrate(scores, scores))
        return np.array([probe.rank(vector) for vector in self._fitter.vectors[rows]])

    def router(self, signals: Floats, rows: Rows) -> SimilarityRouter:
        """Fit the knots on held-out signals and return the router."""
        return self._build(calibrate(signals, self._fitter.data.scores[rows]))

    def _build(self, calibration: Calibration) -> SimilarityRouter:
        fitter = self._fitter
        points = {"vectors": fitter.vectors[self._rows].astype(np.float32), "scores": fitter.data.scores[self._rows].astype(np.float32)}
        return SimilarityRouter(fitter.data.models, fitter.embedding, points, fitter.sharpness, calibration)
