"""Which hard limits does a request fall under: its tenant's, its key's, and its tenant's for the model that answers."""

from collections.abc import Iterator

from gateway.domain.catalog import Limits, Tenant
from gateway.domain.event import NANO
from gateway.domain.limit import Limit, LimitKind

MINUTE_S = 60.0
KEY_CHARS = 16
"""Digits of a key's digest that name it in the store: 64 bits tell the keys of one tenant apart."""


def limits_of(tenant: Tenant, key: str | None, model: str) -> tuple[Limit, ...]:
    """Return the limits of a request, the widest scope first.

    Args:
        key: digest of the client's key; None: none of the keys with limits of their own.
        model: the model that is to answer.
    """
    found = list(_limits(tenant, tenant.limits, "tenant", ""))
    if key is not None and key in tenant.key_limits:
        found += _limits(tenant, tenant.key_limits[key], f"key:{key[:KEY_CHARS]}", " for this key")
    if model in tenant.model_limits:
        found += _limits(tenant, tenant.model_limits[model], f"model:{model}", f" for model {model}", model)
    return tuple(found)


def is_limited(tenant: Tenant) -> bool:
    """Say whether any limit is set for a tenant."""
    scopes = (tenant.limits, *tenant.key_limits.values(), *tenant.model_limits.values())
    return any(limits != Limits() for limits in scopes)


def names_of(tenant: Tenant) -> set[str]:
    """Return the names of all limits of a tenant, of whatever key and model."""
    models, keys = [*tenant.model_limits, ""], [*tenant.key_limits, None]
    return {limit.name for key in keys for model in models for limit in limits_of(tenant, key, model)}


def _limits(tenant: Tenant, limits: Limits, scope: str, of: str, model: str | None = None) -> Iterator[Limit]:
    if (rpm := limits.rpm) is not None:
        yield Limit(tenant.name, f"{scope}/requests", LimitKind.REQUESTS, rpm, rpm / MINUTE_S, f"{rpm} requests per minute{of}", model)
    if (tpm := limits.tpm) is not None:
        yield Limit(tenant.name, f"{scope}/tokens", LimitKind.TOKENS, tpm, tpm / MINUTE_S, f"{tpm} tokens per minute{of}", model)
    if (usd := limits.usd_per_day) is not None:
        yield Limit(tenant.name, f"{scope}/usd", LimitKind.USD, round(usd * NANO), 0.0, f"{usd:g} dollars per day (UTC){of}", model)
