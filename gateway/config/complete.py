"""Defaults that depend on other sections, filled in, so that nothing acts that `--effective` does not show."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.config.objectives import SloSection
from gateway.config.offer import BackendSection, ModelSection
from gateway.config.sections import Sections, TenantSection

OPEN_TENANT = "open"
"""The tenant of requests without a key, with `auth: none`."""


def complete(sections: Sections) -> Sections:
    """Return the sections with every default that follows from others written out; what is complete stays as it is."""
    priority = sections.pricing.priority
    return replace(
        sections,
        models=tuple(_model(m) for m in sections.models),
        slos=tuple(_slo(s) for s in sections.slos),
        pricing=replace(sections.pricing, priority=tuple(s.name for s in sections.slos) if priority is None else priority),
        tenants=_tenants(sections),
    )


def backend_name(model: str, backend: BackendSection) -> str:
    """Return a backend's id: the operator's name for it, else `<model>@<host:port>`."""
    return backend.name or f"{model}@{backend.address}"


def cheaper_than(model: ModelSection, models: Sequence[ModelSection]) -> tuple[str, ...]:
    """Return names of the models written after this one that cost less (no tariff higher, one lower), best first."""
    after = models[models.index(model) + 1 :]
    return tuple(m.name for m in after if _costs_less(m, model))


def _costs_less(one: ModelSection, other: ModelSection) -> bool:
    ours = (one.tariff.input_usd_per_mtok, one.tariff.output_usd_per_mtok)
    theirs = (other.tariff.input_usd_per_mtok, other.tariff.output_usd_per_mtok)
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))


def _model(model: ModelSection) -> ModelSection:
    backends = tuple(
        replace(b, name=backend_name(model.name, b), self_hosted=b.engine != "openai" if b.self_hosted is None else b.self_hosted)
        for b in model.backends
    )
    return replace(model, backends=backends)


def _slo(slo: SloSection) -> SloSection:
    if slo.sli.kind == "cost" and slo.on_exhausted is None:
        slo = replace(slo, on_exhausted="cheapest")
    if slo.period is not None and slo.period.startswith("calendar-") and slo.timezone is None:
        slo = replace(slo, timezone="UTC")
    return slo


def _tenants(sections: Sections) -> tuple[TenantSection, ...]:
    """Add the open tenant if it is needed and not written: of the least valuable class, with no rights."""
    if sections.auth != "none" or any(t.name == OPEN_TENANT for t in sections.tenants):
        return sections.tenants
    least = min(sections.classes, key=lambda c: c.value)
    return (*sections.tenants, TenantSection(OPEN_TENANT, class_=least.name))
