"""`ridge`: one ridge regression per language model on the same features as `logistic`; for graded scores and many models."""

from __future__ import annotations

from typing import Any, ClassVar

from router_models.routers.base import Floats
from router_models.routers.logistic import LogisticFitter, LogisticRouter


class RidgeRouter(LogisticRouter):
    """Linear heads without a link: the score itself, clipped to 0..1."""

    kind: ClassVar[str] = "ridge"
    weakness: ClassVar[str] = "has no shared strength between models: with many of them its noise picks the winner (see knn, domain_table)"

    @staticmethod
    def link(z: float) -> float:
        """Return the raw quality, clipped to 0..1."""
        return min(max(z, 0.0), 1.0)


class RidgeFitter(LogisticFitter):
    """Fits one scikit-learn Ridge per model."""

    kind: ClassVar[str] = "ridge"
    router: ClassVar[type[LogisticRouter]] = RidgeRouter
    default_strength: ClassVar[float] = 20.0
    strength_option: ClassVar[str] = "regularization"

    def head(self, inputs: Any, target: Floats, weights: Floats) -> Any:
        """Fit one head on the scores as numbers."""
        from sklearn.linear_model import Ridge

        return Ridge(alpha=self._strength, solver="sparse_cg", tol=1e-6).fit(inputs, target, sample_weight=weights)
