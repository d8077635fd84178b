"""Every engine family is registered under its own name, and the configuration knows the same ones."""

import json
from pathlib import Path

from gateway.edges.upstream.engines.registry import ENGINES

SCHEMA = Path(__file__).parents[6] / "config" / "sluice.schema.json"


def test_each_family_stands_under_its_own_name():
    assert {name: engine.kind for name, engine in ENGINES.items()} == {name: name for name in ENGINES}


def test_the_configuration_accepts_exactly_these_families():
    found: list[list[str]] = []

    def look(node):
        if isinstance(node, dict):
            if "llamacpp" in node.get("enum", []):
                found.append(node["enum"])
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    look(json.loads(SCHEMA.read_text()))
    assert found and all(set(names) == set(ENGINES) for names in found)


def test_whoever_publishes_metrics_names_all_three():
    for engine in ENGINES.values():
        assert (engine.metrics_path is not None) == bool(engine.waiting and engine.running and engine.kv_usage)
