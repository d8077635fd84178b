"""The only wiring: Config + State -> Runtime, in reading order."""

from pathlib import Path

from gateway.config.load import Config
from gateway.core.assemble import Prediction, assemble
from gateway.core.pricing.threshold import Gain
from gateway.core.state import State
from gateway.core.tenants.directory import Directory
from gateway.core.tenants.scope import names_of
from gateway.edges.scoring.scorer import Scoring
from gateway.runtime import Runtime


def build(config: Config, state: State, scoring: Scoring, generation: int, previous: Runtime | None = None) -> Runtime:
    """Build everything that one version of the configuration means, on the State that outlives it.

    Raises: ArtifactError when a route's router does not fit the route; ValueError for a law or SLI that refuses its options.
    """
    base = Path(config.path).resolve().parent
    several = {name: route for name, route in config.catalog.routes.items() if len(route.models) > 1}
    scored = {name: scoring.scored(route, base) for name, route in several.items()}
    predictions = {name: Prediction(Gain(s.knots), s.sample) for name, s in scored.items()}
    core = assemble(
        config.catalog,
        config.slos,
        config.pricing,
        predictions,
        state,
        config.mode,
        config.price_hash,
        telemetry_delay_s=config.store.flush_every + config.pricing.tick / 2 + config.store.poll_every,
        retry_share=config.upstream.retry_share,
        attempts_max=config.upstream.attempts_max,
    )
    if previous is not None:
        previous.core.governor.hand_over(core.governor)
    troubles = {name: s.trouble for name, s in scored.items() if s.trouble is not None}
    return Runtime(generation, config, core, Directory(config.catalog), {n: s.scorer for n, s in scored.items()}, troubles)


def put_in_force(runtime: Runtime, state: State) -> None:
    """Let the State forget what is not on offer any more; called after the swap."""
    catalog = runtime.catalog
    state.placement.retain(catalog.models.values())
    state.schedule.retain(catalog.models)
    state.limits.retain({tenant.name: names_of(tenant) for tenant in catalog.tenants.values()})
