"""Every router by its name: real imports, so that the type checker, the contracts and a reader see them."""

from __future__ import annotations

from collections.abc import Mapping

from router_models.routers.base import FamilyRouter, Fitter
from router_models.routers.constant import ConstantFitter, ConstantRouter
from router_models.routers.length import LengthFitter, LengthRouter
from router_models.routers.linear import LinearFitter, LinearRouter
from router_models.routers.random import RandomFitter, RandomRouter

ROUTERS: Mapping[str, type[FamilyRouter]] = {
    "constant": ConstantRouter,
    "length": LengthRouter,
    "linear": LinearRouter,
    "random": RandomRouter,
}

FITTERS: Mapping[str, type[Fitter]] = {
    "constant": ConstantFitter,
    "length": LengthFitter,
    "linear": LinearFitter,
    "random": RandomFitter,
}
