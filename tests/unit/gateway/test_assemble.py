"""The only wiring: what the YAML says is what runs, and an edit keeps the State."""

from pathlib import Path

import pytest

from gateway.assemble import build, put_in_force
from gateway.config.load import Config, load
from gateway.core.state import State
from gateway.core.ticket import Ticket
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.edges.scoring.scorer import Scoring
from gateway.runtime import Runtime
from router_models.port import ArtifactError

YAML = """
auth: none
mode: observe
models:
  - name: strong
    tariff: {input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}
    context_tokens: 128000
    backends: [{url: "http://s:1/v1", model: big}]
  - name: weak
    tariff: {input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}
    context_tokens: 32000
    backends: [{url: "http://w:1/v1", model: small, engine: vllm}]
routes:
  - {name: auto, models: [strong, weak]}
  - {name: only-weak, models: [weak]}
slos:
  - {name: availability, sli: availability, objective: 0.999, window: 28d}
  - {name: spend, sli: {kind: cost, usd: 40, forecast_requests: 10000}, period: calendar-day}
pricing: {priority: [availability, spend], tick: 8s}
upstream: {attempts_max: 2}
"""
WELL = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}


def config(change: tuple[str, str] = ("", ""), path: str = "sluice.yaml") -> Config:
    assert change[0] in YAML
    return load(path, {}, YAML.replace(*change).encode())


def built(
    change: tuple[str, str] = ("", ""), state: State | None = None, previous: Runtime | None = None, path: str = "sluice.yaml"
) -> Runtime:
    return build(config(change, path), state or State(), Scoring(), 1, previous)


def test_what_the_yaml_says_is_what_runs() -> None:
    runtime = built()
    assert runtime.dispatcher.mode == "observe" and runtime.directory.is_open
    assert [s.spec.name for s in runtime.core.slos] == ["availability", "spend"]
    published = runtime.core.governor.tick(State().counts, {}, 0.0, WELL)
    assert published.prices.law == "shadow_price" and published.prices.config_hash == runtime.config.price_hash
    assert [p.slo for p in published.prices.prices] == ["availability", "spend"]
    assert set(published.prices.alpha_ref) == {"auto"}


def test_routes_with_a_choice_are_scored_by_their_artifact() -> None:
    runtime = built()
    assert set(runtime.scorers) == {"auto"} and set(runtime.core.gains) == {"auto"} and runtime.troubles == {}
    assert not runtime.scorers["auto"].is_fallback
    strong, weak = runtime.scorers["auto"].qualities("Prove that there are infinitely many primes.")
    assert 0.0 <= weak <= 1.0 and 0.0 <= strong <= 1.0


def test_a_missing_artifact_is_no_outage_and_is_said(tmp_path: Path) -> None:
    runtime = built(("[strong, weak]}", "[strong, weak], router: {artifact: gone}}"), path=str(tmp_path / "sluice.yaml"))
    assert runtime.scorers["auto"].is_fallback and str(tmp_path / "gone") in runtime.troubles["auto"]


def test_an_artifact_for_other_models_is_refused() -> None:
    three = ("{name: auto, models: [strong, weak]}", "{name: auto, models: [strong, weak, weak2]}")
    more = """  - name: weak2
    tariff: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.5}
    context_tokens: 32000
    backends: [{url: "http://x:1/v1", model: small}]
routes:"""
    text = YAML.replace(*three).replace("routes:", more, 1)
    with pytest.raises(ArtifactError, match="3 models"):
        build(load("sluice.yaml", {}, text.encode()), State(), Scoring(), 1)


def test_an_edit_goes_on_from_the_version_before() -> None:
    state = State()
    first = built(state=state)
    for i in range(5):
        published = first.core.governor.tick(state.counts, {}, 5.0 * i, WELL)
    second = built(("usd: 40", "usd: 80"), state, first)
    assert second.dispatcher.state is first.dispatcher.state
    assert second.core.governor.tick(state.counts, {}, 30.0, WELL).prices.version == published.prices.version + 1
    assert built(("usd: 40", "usd: 80"), state).core.governor.tick(state.counts, {}, 30.0, WELL).prices.version == 1


def test_a_swap_forgets_what_is_not_on_offer_any_more() -> None:
    state = State()
    state.placement.health("strong").success = 0.1
    state.placement.health("gone").success = 0.1
    state.placement.account("strong@s:1", "strong").breaker.probed(False, 0.0)
    put_in_force(built(state=state), state)
    assert state.placement.health("strong").success == 0.1
    assert state.placement.health("gone").success == 0.999


def test_requests_run_through_the_core_that_was_built() -> None:
    runtime = built(("mode: observe", "mode: enforce"))
    models = tuple(runtime.catalog.models.values())
    klass = next(iter(runtime.catalog.classes.values()))
    facts = RequestFacts("r", Endpoint.CHAT, "open", klass, "auto", models, 100, None, True, 0.0, (0.5, 0.9))
    ticket = runtime.dispatcher.decide(facts, (0.9, 0.6), 0.0)
    assert isinstance(ticket, Ticket) and ticket.placed is not None and ticket.placed.backend.url == "http://s:1/v1"
