"""Every plugin is one file, one line in its registry, one test, one example; `kind` = registry key = file name."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.core.budget.slis.registry import SLIS
from gateway.core.pricing.laws.registry import LAWS
from gateway.edges.upstream.engines.registry import ENGINES
from router_models.routers.registry import FITTERS, ROUTERS


@dataclass(frozen=True)
class Registry:
    """One registry: where its plugins live, and which files of the folder are none."""

    folder: str
    plugins: Mapping[str, Any]
    besides: frozenset[str] = frozenset()
    has_options: bool = True


REGISTRIES = {
    "slis": Registry("gateway/core/budget/slis", SLIS),
    "laws": Registry("gateway/core/pricing/laws", LAWS),
    "engines": Registry("gateway/edges/upstream/engines", ENGINES, frozenset({"base"}), has_options=False),
    "routers": Registry("router_models/routers", ROUTERS, frozenset({"base"}), has_options=False),
}
EVERY = [(registry, kind) for registry, it in REGISTRIES.items() for kind in it.plugins]


@pytest.mark.parametrize("name", REGISTRIES)
def test_every_file_of_the_folder_is_registered_and_nothing_else(house: Path, name: str) -> None:
    registry = REGISTRIES[name]
    files = {file.stem for file in (house / registry.folder).glob("*.py")} - {"__init__", "registry"} - registry.besides
    assert files == set(registry.plugins)


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_key_file_and_kind_are_one_word(name: str, kind: str) -> None:
    registry = REGISTRIES[name]
    plugin = registry.plugins[kind]
    assert plugin.kind == kind
    if isinstance(plugin, type):
        assert plugin.__module__ == f"{registry.folder.replace('/', '.')}.{kind}"


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_a_plugin_has_its_test(house: Path, name: str, kind: str) -> None:
    twin = house / "tests/unit" / REGISTRIES[name].folder / f"test_{kind}.py"
    assert twin.exists(), f"{twin.relative_to(house)} is missing"


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n, k in EVERY if REGISTRIES[n].has_options])
def test_an_operator_can_set_a_plugins_options_and_read_what_they_do(name: str, kind: str) -> None:
    options = REGISTRIES[name].plugins[kind].Options
    assert is_dataclass(options) and options.__doc__
    assert vars(options)["__dataclass_params__"].frozen


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n, k in EVERY if n in ("slis", "laws")])
def test_a_plugin_has_an_example_that_names_it(house: Path, name: str, kind: str) -> None:
    example = house / "config/examples" / f"{kind}.yaml"
    assert example.exists(), f"config/examples/{kind}.yaml is missing"
    content = yaml.safe_load(example.read_text())
    if name == "slis":
        assert kind in {kind_of(slo["sli"]) for slo in content["slos"]}
    else:
        assert kind_of(content["pricing"]["law"]) == kind


@pytest.mark.parametrize("kind", SLIS)
def test_an_sli_says_the_unit_of_its_price(kind: str) -> None:
    assert SLIS[kind].unit.startswith("mean request values per ")


@pytest.mark.parametrize("kind", ROUTERS)
def test_a_router_can_be_trained_and_names_its_weakness(kind: str) -> None:
    assert kind in FITTERS
    assert len(ROUTERS[kind].weakness) > 20


def kind_of(written: Any) -> str:
    """Return the kind of a plugin as it is written: a word, or a mapping with `kind`."""
    return written if isinstance(written, str) else written["kind"]
