"""What does a client's `model` mean for this tenant: a route, a model, or a router with a threshold.

A name is looked for among routes, then models, then read as `router-<name>-<threshold>` (RouteLLM's spelling). The router's
name is a route's, or else any word (`mf`, `bert`: RouteLLM's own routers): then the first route in the configuration is meant.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.domain.catalog import Catalog, Model, Right, Route, Tenant, TrafficClass
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import EMBEDDINGS, Endpoint
from gateway.domain.value import Value
from gateway.wire.names import parse_model

NAMES_SHOWN = 20


class Named(Value, frozen=True):
    """Who may answer, and what the client said about it."""

    route: str
    candidates: tuple[Model, ...]
    named: str | None = None
    """The model that was asked for by name."""
    threshold: float | None = None


def resolve(model: str, endpoint: Endpoint, catalog: Catalog, tenant: Tenant, keeps_model: bool = False) -> Named:
    """Return what a model string means.

    Args:
        keeps_model: the client refuses a downgrade of a model that it names.
    Raises: GatewayError UNKNOWN_MODEL with the names that would do, NOT_ALLOWED.
    """
    route = catalog.routes.get(model)
    threshold = None
    if route is None:
        known = catalog.models.get(model)
        if known is not None:
            return _by_name(known, endpoint, catalog, tenant, keeps_model)
        parsed = parse_model(model)
        if parsed.is_router and catalog.routes:
            route, threshold = catalog.routes.get(parsed.name) or next(iter(catalog.routes.values())), parsed.threshold
    if route is None:
        raise GatewayError(Reason.UNKNOWN_MODEL, f"the model {_short(model)} does not exist; {_choice(catalog, tenant)}", "model")
    candidates = tuple(catalog.models[name] for name in route.models)
    # Embeddings of different models cannot be compared, so nothing is ever switched there.
    return Named(route.name, candidates[:1] if endpoint is EMBEDDINGS else candidates, None, threshold)


def klass_of(wish: str | None, catalog: Catalog, tenant: Tenant) -> TrafficClass:
    """Return the class of a request; a client may lower itself, and raise itself with the right to.

    Raises: GatewayError BAD_REQUEST for an unknown class, NOT_ALLOWED.
    """
    own = catalog.classes[tenant.klass]
    if wish is None:
        return own
    wanted = catalog.classes.get(wish)
    if wanted is None:
        raise GatewayError(Reason.BAD_REQUEST, f"x-sluice-class: no class {_short(wish)}; there are {', '.join(catalog.classes)}")
    if wanted.rank < own.rank and Right.RAISE_CLASS not in tenant.may:
        raise GatewayError(Reason.NOT_ALLOWED, f"x-sluice-class: {wanted.name} is above {own.name}; this key may only lower its class")
    return wanted


def listed(catalog: Catalog, tenant: Tenant) -> Iterable[str]:
    """Yield the names that this tenant may send as `model`."""
    yield from catalog.routes
    if Right.CHOOSE_MODEL in tenant.may:
        yield from (name for name in catalog.models if name not in catalog.routes)


def card(name: str, catalog: Catalog) -> Mapping[str, Any]:
    """Return a name as OpenAI's models endpoint shows it."""
    route = catalog.routes.get(name)
    more: dict[str, Any] = {} if route is None else {"description": _about(route)}
    return {"id": name, "object": "model", "created": 0, "owned_by": "sluice", **more}


def _by_name(model: Model, endpoint: Endpoint, catalog: Catalog, tenant: Tenant, keeps_model: bool) -> Named:
    if Right.CHOOSE_MODEL not in tenant.may:
        raise GatewayError(Reason.NOT_ALLOWED, f"this key may not choose the model {model.name}; {_choice(catalog, tenant)}", "model")
    others: tuple[str, ...] = ()
    if model.downgrade and not keeps_model and endpoint is not EMBEDDINGS:
        others = model.downgrade_to
    return Named(model.name, (model, *(catalog.models[name] for name in others)), model.name)


def _choice(catalog: Catalog, tenant: Tenant) -> str:
    names = list(listed(catalog, tenant))
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"use one of {', '.join(names[:NAMES_SHOWN])}{more}"


def _about(route: Route) -> str:
    if len(route.models) == 1:
        return f"answered by {route.models[0]}"
    models = ", ".join(route.models)
    return f"answered by one of {models}; router-{route.name}-<threshold> names the win rate from which the best one answers"


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
