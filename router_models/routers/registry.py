"""Every router by its name: real imports, so that the type checker, the contracts and a reader see them."""

from __future__ import annotations

from collections.abc import Mapping

from router_models.routers.base import FamilyRouter, Fitter
from router_models.routers.constant import ConstantFitter, ConstantRouter
from router_models.routers.dense import DenseFitter, DenseRouter
from router_models.routers.domain_table import DomainTableFitter, DomainTableRouter
from router_models.routers.ensemble import EnsembleFitter, EnsembleRouter
from router_models.routers.knn import NearestFitter, NearestRouter
from router_models.routers.length import LengthFitter, LengthRouter
from router_models.routers.logistic import LogisticFitter, LogisticRouter
from router_models.routers.matrix_factorization import FactorFitter, FactorRouter
from router_models.routers.random import RandomFitter, RandomRouter
from router_models.routers.ridge import RidgeFitter, RidgeRouter
from router_models.routers.similarity import SimilarityFitter, SimilarityRouter

ROUTERS: Mapping[str, type[FamilyRouter]] = {
    "constant": ConstantRouter,
    "dense": DenseRouter,
    "domain_table": DomainTableRouter,
    "ensemble": EnsembleRouter,
    "knn": NearestRouter,
    "length": LengthRouter,
    "logistic": LogisticRouter,
    "matrix_factorization": FactorRouter,
    "random": RandomRouter,
    "ridge": RidgeRouter,
    "similarity": SimilarityRouter,
}

FITTERS: Mapping[str, type[Fitter]] = {
    "constant": ConstantFitter,
    "dense": DenseFitter,
    "domain_table": DomainTableFitter,
    "ensemble": EnsembleFitter,
    "knn": NearestFitter,
    "length": LengthFitter,
    "logistic": LogisticFitter,
    "matrix_factorization": FactorFitter,
    "random": RandomFitter,
    "ridge": RidgeFitter,
    "similarity": SimilarityFitter,
}
