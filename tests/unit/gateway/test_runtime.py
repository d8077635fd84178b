"""One generation of the configuration, built."""

from dataclasses import FrozenInstanceError

import pytest

from gateway.assemble import build
from gateway.config.load import load
from gateway.core.state import State
from gateway.edges.scoring.scorer import Scoring
from gateway.runtime import Runtime

YAML = b"""
auth: none
models:
  - {name: one, tariff: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}, context_tokens: 8000, backends: [{url: "http://a:1/v1", model: m}]}
routes: [{name: auto, models: [one]}]
"""


@pytest.fixture
def runtime() -> Runtime:
    return build(load("sluice.yaml", {}, YAML), State(), Scoring(), 4)


def test_a_runtime_answers_for_what_it_was_built_from(runtime: Runtime) -> None:
    assert runtime.generation == 4
    assert runtime.catalog is runtime.config.catalog and set(runtime.catalog.models) == {"one"}
    assert runtime.dispatcher is runtime.core.dispatcher and runtime.dispatcher.catalog is runtime.catalog


def test_a_route_without_a_choice_needs_no_scorer(runtime: Runtime) -> None:
    assert runtime.scorers == {} and runtime.troubles == {}


def test_it_is_replaced_never_changed(runtime: Runtime) -> None:
    with pytest.raises(FrozenInstanceError):
        runtime.generation = 5  # type: ignore[misc]
