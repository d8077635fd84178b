import dataclasses

import pytest

from gateway.config.load import load
from gateway.core.state import State
from gateway.edges.scoring.scorer import Scoring


def test_a_runtime_is_replaced_whole_and_never_changed():
    from gateway.assemble import build

    runtime = build(load("config/examples/static.yaml", {}), State(), Scoring(), generation=7)
    assert runtime.generation == 7
    assert runtime.catalog is runtime.config.catalog
    assert runtime.dispatcher is runtime.core.dispatcher
    with pytest.raises(dataclasses.FrozenInstanceError):
        runtime.generation = 8  # type: ignore[misc]
