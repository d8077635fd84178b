"""`domain_table`: prompts fall into learned clusters; each cluster holds the models' mean scores, shrunk towards the overall mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Calibration, calibrate
from router_models.embedding import DIMENSIONS, Embedders, LatentEmbedding, fit_latent
from router_models.routers.base import Arrays, CalibratedRouter, Floats, Rows, check_options, stored_calibration
from router_models.table import ScoreTable


class DomainTableRouter(CalibratedRouter):
    """A nearest-centroid lookup."""

    kind: ClassVar[str] = "domain_table"
    weakness: ClassVar[str] = "answers every prompt of a cluster alike; inside one domain it is a constant"

    def __init__(self, models: tuple[str, ...], embedding: LatentEmbedding, cells: Arrays, calibration: Calibration) -> None:
        """Take the table; cells: centroids (c, d), means (c, m) in [0, 1]."""
        super().__init__(models, calibration)
        centroids, means = cells["centroids"], cells["means"]
        if centroids.ndim != 2 or means.shape != (len(centroids), len(models)) or centroids.shape[1] != embedding.table.shape[1]:
            raise ValueError(f"centroids {centroids.shape} and means {means.shape} do not fit")
        if not len(centroids) or means.min() < 0.0 or means.max() > 1.0:
            raise ValueError("needs a cluster, and means in 0..1")
        self._embedding, self._cells = embedding, {"centroids": centroids, "means": means}
        self._centroids = centroids.astype(np.float64)
        self._half_squares = 0.5 * (self._centroids**2).sum(axis=1)
        self._means = [tuple(map(float, row)) for row in means.tolist()]

    def cluster(self, prompt: str) -> int:
        """Return the number of the nearest cluster."""
        return int(np.argmax(self._centroids @ self._embedding.embed(prompt) - self._half_squares))

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return the cluster's means."""
        return self._means[self.cluster(prompt)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return embedding, centroids and means."""
        return {**self._embedding.arrays(), **self._cells}

    def options(self) -> dict[str, Any]:
        """Return feature spec and knots."""
        return {**super().options(), "features": self._embedding.options()}

    def feature_hash(self) -> str:
        """Return the digest of the embedding's features."""
        return self._embedding.spec.digest()

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored cells."""
        return cls(models, LatentEmbedding.restore(options["features"], arrays), arrays, stored_calibration(models, options))


class DomainTableFitter:
    """Embeds and clusters the table once, from prompts alone."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        """Read the options: clusters, shrink (overall mean counts as this many rows), dimensions."""
        from sklearn.cluster import KMeans

        check_options("domain_table", options, ["clusters", "shrink", "dimensions"])
        self.data, self.shrink = data, float(options.get("shrink", 20.0))
        self.embedding = fit_latent(data.prompts, int(options.get("dimensions", DIMENSIONS)))
        vectors = self.embedding.embed_all(data.prompts)
        clusters = min(int(options.get("clusters", 24)), len(data))
        found = KMeans(clusters, n_init=2, random_state=0).fit(vectors)
        self.centroids = found.cluster_centers_.astype(np.float32)
        half_squares = 0.5 * (self.centroids.astype(np.float64) ** 2).sum(axis=1)
        self.cell = np.argmax(vectors @ self.centroids.T.astype(np.float64) - half_squares, axis=1)

    def fit(self, rows: Rows) -> DomainTableFit:
        """Average the scores of `rows` in each cluster."""
        scores = self.data.scores[rows]
        mean = scores.mean(axis=0)
        sums, counts = np.zeros((len(self.centroids), scores.shape[1])), np.bincount(self.cell[rows], minlength=len(self.centroids))
        np.add.at(sums, self.cell[rows], scores)
        means = (sums + self.shrink * mean) / (counts + self.shrink).reshape(-1, 1)
        return DomainTableFit(self, np.clip(means, 0.0, 1.0))


class DomainTableFit:
    """Cluster means, before calibration."""

    def __init__(self, fitter: DomainTableFitter, means: Floats) -> None:
        self._fitter, self._means = fitter, means

    def signals(self, rows: Rows) -> Floats:
        """Return the means of each row's cluster."""
        found: Floats = self._means[self._fitter.cell[rows]]
        return found

    def router(self, signals: Floats, rows: Rows) -> DomainTableRouter:
        """Fit the knots on held-out signals and return the router."""
        fitter = self._fitter
        cells = {"centroids": fitter.centroids, "means": self._means}
        return DomainTableRouter(fitter.data.models, fitter.embedding, cells, calibrate(signals, fitter.data.scores[rows]))
