"""Build the core of one config version on the State that outlives it. The simulation stops here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.core.budget.slo import Slo, SloSpec, build
from gateway.core.dispatcher import Dispatcher
from gateway.core.governor import Governor
from gateway.core.pricing.card import Array, Card
from gateway.core.pricing.laws.registry import LAWS
from gateway.core.pricing.options import PricingOptions
from gateway.core.pricing.threshold import Gain
from gateway.core.state import State
from gateway.domain.catalog import Catalog, Route

PRIOR_PROMPT_TOKENS, PRIOR_COMPLETION_TOKENS = 1155, 211
"""Mean prompt and answer of the Azure 2023 conversation trace: what a card's dollars assume before traffic is known."""


@dataclass(frozen=True)
class Prediction:
    """What a route's router artifact brings: its calibrated gain and a sample of qualities, shape (n, m), route order."""

    gain: Gain
    sample: Array


@dataclass(frozen=True)
class Core:
    """Everything that decides."""

    dispatcher: Dispatcher
    governor: Governor
    slos: tuple[Slo, ...]
    gains: Mapping[str, Gain]
    """Calibrated gain per route with a choice."""
    config_hash: str = ""


def assemble(
    catalog: Catalog,
    specs: Sequence[SloSpec],
    pricing: PricingOptions,
    predictions: Mapping[str, Prediction],
    state: State,
    mode: str,
    config_hash: str,
    telemetry_delay_s: float,
    retry_share: float = 0.1,
    attempts_max: int = 3,
    cards: Callable[[], Mapping[str, Card]] | None = None,
) -> Core:
    """Build dispatcher and governor.

    Args:
        predictions: per route with at least two models.
        cards: replaces the cards that follow from `predictions` and recent traffic (a replayed world brings its own).
    Raises: ValueError for SLOs without meaning, or a priority that names none.
    """
    slos = build(specs)
    if unknown := [name for name in pricing.priority if name not in {s.spec.name for s in slos}]:
        raise ValueError(f"priority names no SLO: {', '.join(unknown)}")
    gains = {name: p.gain for name, p in predictions.items()}
    dispatcher = Dispatcher(catalog, slos, gains, state, mode, retry_share, attempts_max)
    law = LAWS[pricing.law](pricing.law_options)
    first = {name: _prior_card(catalog, catalog.routes[name], p) for name, p in predictions.items()}
    source = cards or (lambda: {name: state.sample.card(name, card.models) or card for name, card in first.items()})
    classes = {k.name: k.value for k in catalog.classes.values()}
    governor = Governor(slos, law, pricing.priority, tuple(catalog.models), gains, source, config_hash, telemetry_delay_s, classes)
    return Core(dispatcher, governor, slos, gains, config_hash)


def _prior_card(catalog: Catalog, route: Route, prediction: Prediction) -> Card:
    """Return the artifact's sample with the operator's tariffs and the classes of the tenants, each tenant equally often."""
    models = [catalog.models[name] for name in route.models]
    rows = prediction.sample.shape[0]
    values = np.array([catalog.classes[t.klass].value for t in catalog.tenants.values()] or [1.0])
    usd = np.array([m.tariff.usd(PRIOR_PROMPT_TOKENS, PRIOR_COMPLETION_TOKENS) for m in models])
    return Card(tuple(route.models), np.resize(values, rows), prediction.sample, np.tile(usd, (rows, 1)))
