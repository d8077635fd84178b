"""A prompt as a short dense vector: latent semantic analysis of hashed byte n-grams, in numpy at serving.

This is the family's own embedder; `dense` takes any other through the same port. A table holds one row per bucket; the rows of a prompt's
n-grams are summed and the sum is scaled to length one, so that a dot product is a cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_models.features import FeatureSpec, Featurizer

Embedder = Callable[[Sequence[str]], NDArray[np.floating[Any]]]
"""Any sentence embedding: prompts -> shape (n, d), one row per prompt, deterministic."""
Embedders = Mapping[str, Embedder]

DIMENSIONS = 64
SPEC = FeatureSpec(orders=(3, 5), buckets_log2=14)


@dataclass(frozen=True, eq=False)
class LatentEmbedding:
    """Rows of n-gram buckets, summed and scaled to length one."""

    spec: FeatureSpec
    table: NDArray[np.float32]
    """Shape (buckets, dimensions)."""

    def __post_init__(self) -> None:
        if self.table.ndim != 2 or len(self.table) != self.spec.buckets:
            raise ValueError(f"embedding table has shape {self.table.shape} for {self.spec.buckets} buckets")
        object.__setattr__(self, "_features", Featurizer(self.spec))

    def embed(self, prompt: str) -> NDArray[np.float64]:
        """Return the unit vector of a prompt, shape (dimensions,); zeros where nothing is known."""
        features: Featurizer = self._features  # type: ignore[attr-defined]
        buckets = features.buckets(features.window(prompt)).ravel()
        total: NDArray[np.float64] = self.table.take(buckets, axis=0).sum(axis=0, dtype=np.float64)
        length = float(np.sqrt(total.dot(total)))
        return total / length if length > 0.0 else total

    def embed_all(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Return unit vectors, shape (n, dimensions)."""
        return np.array([self.embed(prompt) for prompt in prompts]).reshape(len(prompts), self.table.shape[1])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be stored."""
        return {"embedding": self.table}

    def options(self) -> dict[str, Any]:
        """Return the feature spec."""
        return asdict(self.spec)

    @classmethod
    def restore(cls, options: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> LatentEmbedding:
        """Build from stored table and spec."""
        return cls(FeatureSpec.from_options(options), arrays["embedding"])


def fit_latent(prompts: Sequence[str], dimensions: int = DIMENSIONS, spec: FeatureSpec = SPEC) -> LatentEmbedding:
    """Learn the table from prompts alone (no scores): truncated SVD of idf-weighted n-gram counts; the first component is dropped.

    The first direction is the mean prompt, which makes every cosine large and tells nothing apart.
    """
    from sklearn.decomposition import TruncatedSVD

    from router_models.design import design, idf

    grams, _ = design(spec, prompts)
    weight = idf(grams)
    kept = min(dimensions + 1, min(grams.shape) - 1)
    svd = TruncatedSVD(kept, n_iter=3, random_state=0).fit(grams.multiply(weight).tocsr())
    table = (svd.components_[1:].T * weight.reshape(-1, 1)).astype(np.float32)
    return LatentEmbedding(spec, table)
