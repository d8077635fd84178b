"""Sections to the domain's words: from what was written to what the gateway works with.

Text that a reference brought in becomes plain text here; nothing behind this file knows where it came from.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, TypeVar

from gateway.config.complete import OPEN_TENANT, backend_name, cheaper_than
from gateway.config.objectives import CALENDAR, SloSection, parse_time
from gateway.config.offer import BackendSection, ModelSection, RouterSection, TariffSection
from gateway.config.quantities import read_duration
from gateway.config.sections import LimitsSection, Sections, TenantSection
from gateway.core.budget.slo import Period, SloSpec
from gateway.core.pricing.options import PricingOptions
from gateway.domain.catalog import Backend, Catalog, Limits, Model, Right, Route, Router, Secret, Tariff, Tenant, TrafficClass

T = TypeVar("T")


def to_catalog(sections: Sections) -> Catalog:
    """Return everything on offer; the sections are complete and without problems."""
    ranks = {c.name: rank for rank, c in enumerate(sorted(sections.classes, key=lambda c: -c.value))}
    classes = [TrafficClass(str(c.name), c.value, c.ttft_deadline, ranks[c.name], c.exempts_sheds) for c in sections.classes]
    return Catalog(
        models=_by_name(_model(m, sections.models) for m in sections.models),
        routes=_by_name(Route(str(r.name), tuple(map(str, r.models)), _router(r.router)) for r in sections.routes),
        classes=_by_name(classes),
        tenants=_by_name(_tenant(t) for t in sections.tenants),
        open_tenant=OPEN_TENANT if sections.auth == "none" else None,
    )


def to_slo(section: SloSection) -> SloSpec:
    """Return one SLO's specification."""
    return SloSpec(
        name=str(section.name),
        kind=section.sli.kind,
        options=section.sli.options,
        objective=section.objective,
        window_s=section.window,
        period=_period(section),
        route=str(section.for_.route) if section.for_ else None,
        on_exhausted=section.on_exhausted or "alert",
    )


def to_pricing(sections: Sections) -> PricingOptions:
    """Return how scarcity is priced."""
    pricing = sections.pricing
    return PricingOptions(pricing.law.kind, pricing.law.options, tuple(map(str, pricing.priority or ())), pricing.tick)


def plain(options: T) -> T:
    """Return options of another room with plain text in place of text that a reference brought in."""
    made: Any = options
    texts = {f.name: getattr(made, f.name) for f in fields(made)}
    changed: T = replace(
        made, **{name: str(text) for name, text in texts.items() if isinstance(text, str) and not isinstance(text, Secret)}
    )
    return changed


def _by_name(items: Iterable[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}


def _model(section: ModelSection, models: tuple[ModelSection, ...]) -> Model:
    return Model(
        name=str(section.name),
        tariff=_tariff(section.tariff),
        context_tokens=section.context_tokens,
        backends=tuple(_backend(section.name, b) for b in section.backends),
        downgrade=section.downgrade,
        downgrade_to=tuple(map(str, cheaper_than(section, models))) if section.downgrade else (),
    )


def _tariff(section: TariffSection) -> Tariff:
    return Tariff(section.input_usd_per_mtok, section.output_usd_per_mtok, section.cached_input_usd_per_mtok)


def _backend(model: str, section: BackendSection) -> Backend:
    return Backend(
        id=str(backend_name(model, section)),
        url=str(section.url).rstrip("/"),
        model=str(section.model),
        engine=section.engine,
        api_key=section.api_key,
        labels={str(k): str(v) for k, v in section.labels.items()},
        is_self_hosted=bool(section.self_hosted),
        pending_tokens_max=section.pending_tokens_max,
    )


def _router(section: RouterSection) -> Router:
    digest = section.sha256.removeprefix("sha256:").lower() if section.sha256 else None
    return Router(str(section.artifact), section.fallback_strong_share, digest)


def _tenant(section: TenantSection) -> Tenant:
    return Tenant(
        name=str(section.name),
        key_digests=tuple(k.removeprefix("sha256:").lower() for k in section.keys),
        klass=str(section.class_),
        limits=_limits(section.limits),
        may=frozenset(Right(word) for word in section.may),
        key_limits={k.key.removeprefix("sha256:").lower(): _limits(k) for k in section.key_limits},
        model_limits={str(m.model): _limits(m) for m in section.model_limits},
    )


def _limits(section: LimitsSection) -> Limits:
    return Limits(section.rpm, section.tpm, section.usd_per_day)


def _period(section: SloSection) -> Period | None:
    if section.period is None:
        return None
    if section.period in CALENDAR:
        return Period(section.period.removeprefix("calendar-"), timezone=str(section.timezone or "UTC"))
    return Period("fixed", length_s=read_duration(section.period), anchor_wall_s=parse_time(section.anchor or "") or 0.0)
