"""The training-side view of the features: SciPy matrices, one row per prompt. Serving never imports this file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_models.features import SURFACE, FeatureSpec, Featurizer


def design(spec: FeatureSpec, prompts: Sequence[str]) -> tuple[Any, NDArray[np.float64]]:
    """Return n-gram counts / sqrt(window bytes + 1) as a CSR matrix (n, buckets), and surface counts (n, len(SURFACE))."""
    from scipy import sparse

    features = Featurizer(spec)
    columns, values, ends = [np.empty(0, dtype=np.int64)], [np.empty(0)], [0]
    surface = np.empty((len(prompts), len(SURFACE)))
    for row, prompt in enumerate(prompts):
        window = features.window(prompt)
        found, counts = np.unique(features.buckets(window), return_counts=True)
        columns.append(found)
        values.append(counts / math.sqrt(len(window) + 1))
        ends.append(ends[-1] + len(found))
        surface[row] = features.surface(prompt, window)
    grams = sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), ends), shape=(len(prompts), spec.buckets))
    return grams, surface


def idf(grams: Any) -> NDArray[np.float64]:
    """Return log((1 + rows) / (1 + rows that hold the bucket)) per bucket: rare n-grams get more room to matter."""
    rows = grams.shape[0]
    held = np.bincount(grams.indices, minlength=grams.shape[1])
    weight: NDArray[np.float64] = np.log((1.0 + rows) / (1.0 + held))
    return weight
