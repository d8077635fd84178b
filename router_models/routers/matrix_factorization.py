"""`matrix_factorization`: RouteLLM's mf, a bilinear score of prompt and model vectors; made for many models that share what they find hard.

quality_m(x) = sigmoid(v_m . (P x) + c_m) with x the prompt's embedding and 1, P of shape (rank, d + 1), v_m of length rank. Trained on
the models' scores by logistic loss with L2 on all factors. With two models and full rank it reduces to `logistic` on the embedding.
Source: Ong et al., RouteLLM, arXiv:2406.18665, section 4.2 (there on pairwise preferences); our own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Calibration, calibrate
from router_models.embedding import DIMENSIONS, Embedders, LatentEmbedding, fit_latent
from router_models.routers.base import Arrays, CalibratedRouter, Floats, Rows, check_options, stored_calibration
from router_models.routers.logistic import sigmoid
from router_models.table import ScoreTable

SEED = 0
INPUT_SCALE = 3.0
"""Unit vectors are stretched, so that L2 of order one on the factors leaves room for logits of order one."""


class FactorRouter(CalibratedRouter):
    """Prompt vector times projection times model vector."""

    kind: ClassVar[str] = "matrix_factorization"
    weakness: ClassVar[str] = "sees a prompt through a short dense vector: loses to logistic where rare words decide"

    def __init__(self, models: tuple[str, ...], embedding: LatentEmbedding, factors: Arrays, calibration: Calibration) -> None:
        """Take the factors: projection (rank, d + 1), model_vectors (m, rank), biases (m,)."""
        super().__init__(models, calibration)
        projection, vectors, biases = factors["projection"], factors["model_vectors"], factors["biases"]
        d, rank = embedding.table.shape[1] + 1, projection.shape[0]
        if projection.shape != (rank, d) or vectors.shape != (len(models), rank) or biases.shape != (len(models),):
            raise ValueError(f"factors have shapes {projection.shape}, {vectors.shape}, {biases.shape}")
        self._embedding = embedding
        self._factors = {"projection": projection, "model_vectors": vectors, "biases": biases}
        self._heads = vectors.astype(np.float64) @ projection.astype(np.float64)
        self._biases = biases.astype(np.float64)

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return the raw quality of each model."""
        x = INPUT_SCALE * self._embedding.embed(prompt)
        z = self._heads[:, :-1] @ x + self._heads[:, -1] + self._biases
        return tuple(map(sigmoid, z.tolist()))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return embedding and factors."""
        return {**self._embedding.arrays(), **self._factors}

    def options(self) -> dict[str, Any]:
        """Return feature spec and knots."""
        return {**super().options(), "features": self._embedding.options()}

    def feature_hash(self) -> str:
        """Return the digest of the embedding's features."""
        return self._embedding.spec.digest()

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored factors."""
        return cls(models, LatentEmbedding.restore(options["features"], arrays), arrays, stored_calibration(models, options))


class FactorFitter:
    """Embeds the table once, from prompts alone; learns the factors by L-BFGS."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        """Read the options: rank, regularization, dimensions."""
        check_options("matrix_factorization", options, ["rank", "regularization", "dimensions"])
        self.data, self.rank = data, int(options.get("rank", min(8, len(data.models))))
        self.regularization = float(options.get("regularization", 3.0))
        self.embedding = fit_latent(data.prompts, int(options.get("dimensions", DIMENSIONS)))
        vectors = INPUT_SCALE * self.embedding.embed_all(data.prompts)
        self.inputs = np.column_stack([vectors, np.ones(len(data))])

    def fit(self, rows: Rows) -> FactorFit:
        """Learn projection, model vectors and biases on `rows`."""
        from scipy.optimize import minimize

        x, y = self.inputs[rows], self.data.scores[rows]
        m, r, d = y.shape[1], self.rank, x.shape[1]
        mean = np.clip(y.mean(axis=0), 1e-3, 1.0 - 1e-3)
        start = np.concatenate([0.1 * np.random.default_rng(SEED).normal(size=r * d + m * r), np.log(mean / (1.0 - mean))])

        def loss(flat: Floats) -> tuple[float, Floats]:
            projection, vectors, biases = _split(flat, m, r, d)
            hidden = x @ projection.T
            z = hidden @ vectors.T + biases
            value = float(np.logaddexp(0.0, z).sum() - (y * z).sum())
            value += 0.5 * self.regularization * float((projection**2).sum() + (vectors**2).sum())
            error = np.exp(-np.logaddexp(0.0, -z)) - y
            to_projection = (error @ vectors).T @ x + self.regularization * projection
            to_vectors = error.T @ hidden + self.regularization * vectors
            return value, np.concatenate([to_projection.ravel(), to_vectors.ravel(), error.sum(axis=0)])

        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
        return FactorFit(self, *_split(found.x, m, r, d))


def _split(flat: Floats, m: int, r: int, d: int) -> tuple[Floats, Floats, Floats]:
    return flat[: r * d].reshape(r, d), flat[r * d : r * d + m * r].reshape(m, r), flat[r * d + m * r :]


class FactorFit:
    """Factors, before calibration."""

    def __init__(self, fitter: FactorFitter, projection: Floats, vectors: Floats, biases: Floats) -> None:
        self._fitter = fitter
        self._factors = {"projection": projection, "model_vectors": vectors, "biases": biases}

    def signals(self, rows: Rows) -> Floats:
        """Return raw qualities per row."""
        heads = self._factors["model_vectors"] @ self._factors["projection"]
        z = self._fitter.inputs[rows] @ heads.T + self._factors["biases"]
        raw: Floats = 1.0 / (1.0 + np.exp(-z))
        return raw

    def router(self, signals: Floats, rows: Rows) -> FactorRouter:
        """Fit the knots on held-out signals and return the router."""
        data = self._fitter.data
        return FactorRouter(data.models, self._fitter.embedding, self._factors, calibrate(signals, data.scores[rows]))
