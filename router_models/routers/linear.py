"""`linear`: one logistic model per language model over hashed byte n-grams and surface counts; numpy alone at serving.

For each model m, z_m = table_m[buckets].sum() / sqrt(window bytes + 1) + weights_m . surface + intercept_m, and sigmoid(z_m) estimates
P(answer is good). The routing score is sigmoid(z_strong) - sigmoid(z_weak); knots turn it into win rate, gain and both qualities, as
`calibration` says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Knots, PairCalibration, PairQualities, fit_pair
from router_models.features import SURFACE, FeatureSpec, Featurizer
from router_models.routers.base import Arrays, FamilyRouter, Rows
from router_models.table import ScoreTable

Floats = NDArray[np.float64]

SCORE_RANGE = (-1.0, 1.0)
"""A difference of two probabilities."""


class LinearRouter(FamilyRouter):
    """Two logistic heads on hashed n-grams, exported from scikit-learn."""

    kind: ClassVar[str] = "linear"
    weakness: ClassVar[str] = "recognises topics and phrasing it has seen; on unseen subjects it is hardly better than prompt length"

    def __init__(
        self,
        models: tuple[str, ...],
        spec: FeatureSpec,
        table: NDArray[np.floating[Any]],
        surface: NDArray[np.floating[Any]],
        intercept: NDArray[np.floating[Any]],
        calibration: PairCalibration,
    ) -> None:
        """Take the weights.

        Args:
            models: two names, strong first.
            table: shape (2, buckets), weight of one occurrence of a bucket.
            surface: shape (2, len(SURFACE)), weights of the raw surface counts.
            intercept: shape (2,).
        Raises: ValueError when shapes do not fit.
        """
        heads = len(models)
        if heads != 2:
            raise ValueError(f"linear compares two models, not {heads}")
        if table.shape != (heads, spec.buckets) or surface.shape != (heads, len(SURFACE)) or intercept.shape != (heads,):
            raise ValueError(f"weights have shapes {table.shape}, {surface.shape}, {intercept.shape}")
        self.models = models
        self._stored = {"table": table, "surface": surface, "intercept": intercept}
        self._calibration = calibration
        self._features = Featurizer(spec)
        self._table = np.ascontiguousarray(table, dtype=np.float64)
        self._surface = np.ascontiguousarray(surface, dtype=np.float64)
        self._intercept = intercept.astype(np.float64)
        self._qualities = PairQualities(calibration)

    def logits(self, prompt: str) -> list[float]:
        """Return z_m of each model, before the sigmoid."""
        features = self._features
        window = features.window(prompt)
        z = self._table.take(features.buckets(window).ravel(), axis=1).sum(axis=1)
        z *= 1.0 / math.sqrt(len(window) + 1)
        z += self._surface.dot(features.surface(prompt, window))
        z += self._intercept
        values: list[float] = z.tolist()
        return values

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return (score, raw level) from the two heads."""
        strong, weak = map(sigmoid, self.logits(prompt))
        return strong - weak, 0.5 * (strong + weak)

    def combine(self, signals: tuple[float, ...]) -> tuple[float, ...]:
        """Return (q_strong, q_weak)."""
        return self._qualities(signals[0], signals[1])

    def gain_knots(self) -> Knots:
        """Return the calibration's knots."""
        return self._calibration.gain_knots()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return table, surface weights and intercepts as they were given."""
        return dict(self._stored)

    def options(self) -> dict[str, Any]:
        """Return feature spec and calibration."""
        spec = self._features.spec
        return {
            "orders": list(spec.orders),
            "buckets_log2": spec.buckets_log2,
            "head_bytes": spec.head_bytes,
            "tail_bytes": spec.tail_bytes,
            "calibration": self._calibration.to_json(),
        }

    def feature_hash(self) -> str:
        """Return the digest of the feature spec."""
        return self._features.spec.digest()

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays) -> Self:
        """Build from stored weights."""
        spec = FeatureSpec(
            orders=tuple(int(n) for n in options["orders"]),
            buckets_log2=int(options["buckets_log2"]),
            head_bytes=int(options["head_bytes"]),
            tail_bytes=int(options["tail_bytes"]),
        )
        if set(arrays) != {"table", "surface", "intercept"}:
            raise ValueError(f"arrays are {sorted(arrays)}")
        calibration = PairCalibration.from_json(options["calibration"])
        return cls(models, spec, arrays["table"], arrays["surface"], arrays["intercept"], calibration)


def sigmoid(z: float) -> float:
    """Return 1 / (1 + exp(-z)) without overflow."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    e = math.exp(z)
    return e / (1.0 + e)


class LinearFitter:
    """Fits one scikit-learn LogisticRegression per model on a design matrix that is built once."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any]) -> None:
        """Read the options and count the features.

        Options: orders, buckets_log2, head_bytes, tail_bytes (FeatureSpec); inverse_regularization (scikit-learn's C);
        surface_scale (weight of the standardised surface counts against the n-grams).
        """
        known = {f.name for f in fields(FeatureSpec)} | {"inverse_regularization", "surface_scale"}
        if unknown := sorted(set(options) - known):
            raise ValueError(f"unknown options {unknown} of linear; it knows {sorted(known)}")
        spec_options = {f.name: options[f.name] for f in fields(FeatureSpec) if f.name in options}
        if "orders" in spec_options:
            spec_options["orders"] = tuple(spec_options["orders"])
        self.data, self.spec = data, FeatureSpec(**spec_options)
        self._c = float(options.get("inverse_regularization", 0.3))
        self._surface_scale = float(options.get("surface_scale", 0.3))
        self.grams, self.surface = design(self.spec, data.prompts)

    def fit(self, rows: Rows) -> LinearFit:
        """Fit both heads on `rows`."""
        from scipy import sparse
        from sklearn.linear_model import LogisticRegression

        grams, surface = self.grams[rows], self.surface[rows]
        # Unit mean row norm, so that C means the same for every choice of orders.
        norm = float(np.sqrt(grams.multiply(grams).sum(axis=1)).mean())
        mean, scale = surface.mean(axis=0), self._surface_scale / (surface.std(axis=0) + 1e-9)
        x = sparse.hstack([grams / norm, sparse.csr_matrix((surface - mean) * scale)]).tocsr()
        heads = []
        for head in range(2):
            y = self.data.scores[rows, head]
            # A score between 0 and 1 counts as that much of a success and the rest of a failure.
            both, label = sparse.vstack([x, x]).tocsr(), np.repeat([1.0, 0.0], len(y))
            weight = np.concatenate([y, 1.0 - y])
            used = weight > 0.0
            model = LogisticRegression(C=self._c, max_iter=500, tol=1e-5).fit(both[used], label[used], sample_weight=weight[used])
            # Rounded before anything is measured: what is calibrated is exactly what is stored, at half the size.
            model.coef_[0, : self.spec.buckets] = (model.coef_[0, : self.spec.buckets] / norm).astype(np.float32) * np.float64(norm)
            heads.append(model)
        return LinearFit(self, heads, norm, mean, scale)


class LinearFit:
    """Two fitted scikit-learn heads, before calibration."""

    def __init__(self, fitter: LinearFitter, heads: list[Any], norm: float, mean: Floats, scale: Floats) -> None:
        """Take the heads and the scaling of their inputs.

        Args:
            heads: LogisticRegression of the strong and of the weak model.
            norm: what n-gram counts were divided by.
            mean, scale: what surface counts were shifted and multiplied by, shape (len(SURFACE),).
        """
        self.heads = heads
        self._fitter, self._norm, self._mean, self._scale = fitter, norm, mean, scale

    def inputs(self, rows: Rows) -> Any:
        """Return the CSR matrix that the heads were fitted on, for the given rows."""
        from scipy import sparse

        surface = (self._fitter.surface[rows] - self._mean) * self._scale
        return sparse.hstack([self._fitter.grams[rows] / self._norm, sparse.csr_matrix(surface)]).tocsr()

    def weights(self) -> tuple[NDArray[np.float32], Floats, Floats]:
        """Return table, surface weights and intercepts for inputs as the featurizer makes them."""
        buckets = self._fitter.spec.buckets
        coefficients = np.vstack([head.coef_[0] for head in self.heads])
        surface = coefficients[:, buckets:] * self._scale
        intercept = np.array([float(head.intercept_[0]) for head in self.heads]) - surface @ self._mean
        return (coefficients[:, :buckets] / self._norm).astype(np.float32), surface, intercept

    def signals(self, rows: Rows) -> NDArray[np.float64]:
        """Return (score, raw level) per row."""
        x = self.inputs(rows)
        p = np.column_stack([1.0 / (1.0 + np.exp(-head.decision_function(x))) for head in self.heads])
        return np.column_stack([p[:, 0] - p[:, 1], p.mean(axis=1)])

    def router(self, signals: NDArray[np.float64], rows: Rows) -> LinearRouter:
        """Fit the knots on held-out signals of `rows` and return the router."""
        data = self._fitter.data
        scores = data.scores[rows]
        calibration = fit_pair(signals[:, 0], signals[:, 1], scores[:, 0], scores[:, 1], SCORE_RANGE)
        return LinearRouter(data.models, self._fitter.spec, *self.weights(), calibration)


def design(spec: FeatureSpec, prompts: Sequence[str]) -> tuple[Any, NDArray[np.float64]]:
    """Return the n-gram counts / sqrt(window bytes + 1) as a SciPy CSR matrix, and the surface counts, one row per prompt."""
    from scipy import sparse

    features = Featurizer(spec)
    columns, values, ends, surface = [], [], [0], []
    for prompt in prompts:
        window = features.window(prompt)
        found, counts = np.unique(features.buckets(window), return_counts=True)
        columns.append(found)
        values.append(counts / math.sqrt(len(window) + 1))
        ends.append(ends[-1] + len(found))
        surface.append(features.surface(prompt, window))
    grams = sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), ends), shape=(len(prompts), spec.buckets))
    return grams, np.array(surface, dtype=np.float64)
