"""One configuration version, built on the State that outlives it."""

from pathlib import Path

import pytest

from gateway.assemble import build, put_in_force
from gateway.config.load import Config, load
from gateway.core.state import State
from gateway.domain.event import NANO
from gateway.edges.scoring.scorer import Scoring
from router_models.port import ArtifactError

TEXT = """
auth: none
models:
  - name: strong
    tariff: {input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}
    context_tokens: 128000
    backends: [{url: "http://127.0.0.1:1/v1", model: m}]
  - name: weak
    tariff: {input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}
    context_tokens: 32000
    backends: [{url: "http://127.0.0.1:2/v1", model: m}]
routes: [{name: auto, models: [strong, weak], router: {artifact: ARTIFACT, fallback_strong_share: 0.35}}]
slos:
  - {name: availability, sli: {kind: availability}, objective: 0.99, window: 28d}
  - {name: spend, sli: {kind: cost, usd: 10, forecast_requests: 10000}, period: 24h}
classes: [{name: standard, value: 3, ttft_deadline: 30s}]
"""


def config(tmp_path: Path, text: str = TEXT, artifact: str = "builtin") -> Config:
    path = tmp_path / "sluice.yaml"
    path.write_text(text.replace("ARTIFACT", artifact))
    return load(path, {})


def test_everything_that_a_configuration_names_is_built(tmp_path):
    runtime = build(config(tmp_path), State(), Scoring(), generation=1)
    assert list(runtime.catalog.models) == ["strong", "weak"]
    assert set(runtime.scorers) == set(runtime.core.gains) == {"auto"}
    assert runtime.dispatcher is runtime.core.dispatcher
    assert runtime.directory.is_open and not runtime.troubles


def test_a_swap_keeps_counts_and_prices_of_the_state(tmp_path):
    state, scoring = State(), Scoring()
    first = build(config(tmp_path), state, scoring, generation=1)
    state.counts.add([("n", 5), ("usd", 2 * NANO), ("req", 5)], 1_000_000.0)
    before = first.core.governor.tick(state.counts, {}, 1_000_005.0, {})
    first.dispatcher.adopt(before.prices, state.overrides, 1.0)
    second = build(config(tmp_path, TEXT.replace("objective: 0.99", "objective: 0.999")), state, scoring, generation=2, previous=first)
    after = second.core.governor.tick(state.counts, {}, 1_000_010.0, {})
    assert second.dispatcher.state is first.dispatcher.state
    assert after.prices.version == before.prices.version + 1
    spend = next(j for j in after.judgements if j.slo.spec.name == "spend")
    assert spend.bad == pytest.approx(2.0)


def test_a_missing_router_is_a_visible_trouble_and_no_failure(tmp_path):
    runtime = build(config(tmp_path, artifact="no/such/folder"), State(), Scoring(), generation=1)
    assert "no/such/folder" in runtime.troubles["auto"]
    assert runtime.scorers["auto"].is_fallback


def test_a_router_that_does_not_fit_its_route_is_refused(tmp_path):
    tiny = """
  - name: tiny
    tariff: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.1}
    context_tokens: 1000
    backends: [{url: "http://127.0.0.1:3/v1", model: m}]
routes:"""
    third = TEXT.replace("\nroutes:", tiny).replace("[strong, weak]", "[strong, weak, tiny]")
    with pytest.raises(ArtifactError, match="3 models"):
        build(config(tmp_path, third), State(), Scoring(), generation=1)


def test_what_is_not_on_offer_any_more_is_forgotten(tmp_path):
    state = State()
    runtime = build(config(tmp_path), state, Scoring(), generation=1)
    state.placement.health("gone").success = 0.1
    state.placement.health("strong").success = 0.5
    put_in_force(runtime, state)
    assert state.placement.health("gone").success > 0.9
    assert state.placement.health("strong").success == 0.5
