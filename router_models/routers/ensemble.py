"""`ensemble`: the weighted mean of several routers' raw qualities, calibrated once more together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Calibration, calibrate
from router_models.embedding import Embedders
from router_models.routers.base import Arrays, CalibratedRouter, FamilyRouter, Fit, Fitter, Floats, Rows, check_options, stored_calibration
from router_models.routers.domain_table import DomainTableFitter, DomainTableRouter
from router_models.routers.knn import NearestFitter, NearestRouter
from router_models.routers.logistic import LogisticFitter, LogisticRouter
from router_models.routers.matrix_factorization import FactorFitter, FactorRouter
from router_models.routers.ridge import RidgeFitter, RidgeRouter
from router_models.routers.similarity import SimilarityFitter, SimilarityRouter
from router_models.table import ScoreTable

MEMBERS: Mapping[str, tuple[type[CalibratedRouter], type[Fitter]]] = {
    "domain_table": (DomainTableRouter, DomainTableFitter),
    "knn": (NearestRouter, NearestFitter),
    "logistic": (LogisticRouter, LogisticFitter),
    "matrix_factorization": (FactorRouter, FactorFitter),
    "ridge": (RidgeRouter, RidgeFitter),
    "similarity": (SimilarityRouter, SimilarityFitter),
}
"""Routers whose first signals are one raw quality per model."""
DEFAULT = ({"kind": "logistic", "weight": 0.6}, {"kind": "ridge", "weight": 0.2}, {"kind": "knn", "weight": 0.2})


class EnsembleRouter(CalibratedRouter):
    """Members side by side; `members` are routers of this family and their weights."""

    kind: ClassVar[str] = "ensemble"
    weakness: ClassVar[str] = "costs the sum of its members for a gain that intervals often cannot tell from zero"

    def __init__(
        self, models: tuple[str, ...], members: Sequence[FamilyRouter], weights: Sequence[float], calibration: Calibration
    ) -> None:
        super().__init__(models, calibration)
        if not members or len(members) != len(weights) or any(not w > 0.0 for w in weights):
            raise ValueError("needs members with positive weights")
        if any(member.models != models for member in members):
            raise ValueError("members disagree about the models")
        self._members = tuple(members)
        total = float(sum(weights))
        self._weights = tuple(w / total for w in weights)

    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return the weighted mean of the members' raw qualities."""
        m = len(self.models)
        total = [0.0] * m
        for member, weight in zip(self._members, self._weights):
            for i, value in enumerate(member.signals(prompt)[:m]):
                total[i] += weight * value
        return tuple(min(max(v, 0.0), 1.0) for v in total)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every member's arrays, its number before the name."""
        return {f"{i}_{name}": array for i, member in enumerate(self._members) for name, array in member.arrays().items()}

    def options(self) -> dict[str, Any]:
        """Return the members' options and weights."""
        members = [{"kind": r.kind, "weight": w, "options": r.options()} for r, w in zip(self._members, self._weights)]
        return {**super().options(), "members": members}

    def feature_hash(self) -> str:
        """Return the members' digests, joined."""
        return "+".join(member.feature_hash() for member in self._members)

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build every member, then the whole."""
        members = []
        for i, member in enumerate(options["members"]):
            own = {name.removeprefix(f"{i}_"): array for name, array in arrays.items() if name.startswith(f"{i}_")}
            members.append(MEMBERS[member["kind"]][0].restore(models, member["options"], own, embedders))
        return cls(models, members, [float(m["weight"]) for m in options["members"]], stored_calibration(models, options))


class EnsembleFitter:
    """Prepares every member once."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        """Read the options: members, a list of {kind, weight, options}; members see the text alone, as they will when serving."""
        check_options("ensemble", options, ["members"])
        members = options.get("members", DEFAULT)
        if unknown := sorted({str(m["kind"]) for m in members} - set(MEMBERS)):
            raise ValueError(f"unknown members {unknown} of ensemble; it knows {sorted(MEMBERS)}")
        data = replace(data, chats=None)
        self.data, self.weights = data, [float(m.get("weight", 1.0)) for m in members]
        self.fitters = [MEMBERS[m["kind"]][1](data, m.get("options", {}), embedders) for m in members]

    def fit(self, rows: Rows) -> EnsembleFit:
        """Fit every member on `rows`."""
        return EnsembleFit(self, [fitter.fit(rows) for fitter in self.fitters], rows)


class EnsembleFit:
    """Fitted members, before calibration."""

    def __init__(self, fitter: EnsembleFitter, fits: list[Fit], rows: Rows) -> None:
        self._fitter, self._fits, self._rows = fitter, fits, rows

    def signals(self, rows: Rows) -> Floats:
        """Return the weighted mean of the members' raw qualities per row."""
        m, weights = len(self._fitter.data.models), np.array(self._fitter.weights)
        parts = [fit.signals(rows)[:, :m] for fit in self._fits]
        mixed: Floats = np.clip(sum(w * p for w, p in zip(weights / weights.sum(), parts)), 0.0, 1.0)
        return mixed

    def router(self, signals: Floats, rows: Rows) -> EnsembleRouter:
        """Fit the common knots; members keep plain ones, since only their raw qualities are read."""
        data = self._fitter.data
        members = [fit.router(fit.signals(self._rows), self._rows) for fit in self._fits]
        return EnsembleRouter(data.models, members, self._fitter.weights, calibrate(signals, data.scores[rows]))
