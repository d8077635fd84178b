"""Whatever YAML ships can be used as it is."""

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.core.budget.slo import build
from gateway.core.pricing.laws.registry import LAWS
from load.scenario import Scenario
from router_models.recipe import read_recipe
from router_models.routers.registry import ROUTERS

HOUSE = next(parent for parent in Path(__file__).resolve().parents if (parent / "pyproject.toml").exists())
CONFIGS = [HOUSE / "config/sluice.yaml", *sorted((HOUSE / "config/examples").glob("*.yaml"))]
RECIPES = sorted((HOUSE / "config/routers").glob("*.yaml"))
SCENARIOS = sorted((HOUSE / "load/scenarios").glob("*.yaml"))
ENVIRON = {"BIG_KEY": "sk-test", "STRONG_KEY": "sk-test", "WEAK_KEY": "sk-test", "BUDGETS_URL": "redis://budgets.internal:6379/0"}


def test_there_is_no_yaml_that_these_tests_do_not_know() -> None:
    known = {*CONFIGS, *RECIPES, *SCENARIOS}
    there = {
        file for folder in ("config", "load/scenarios") for ending in ("yaml", "yml") for file in (HOUSE / folder).rglob(f"*.{ending}")
    }
    assert there - known == set()
    assert len(CONFIGS) >= 8 and len(SCENARIOS) >= 3


@pytest.mark.parametrize("file", CONFIGS, ids=lambda f: f.stem)
def test_a_configuration_loads_and_its_budgets_can_be_built(file: Path) -> None:
    config = load(file, ENVIRON, read_secret=lambda path: b"secret\n")
    slos = build(config.slos)
    assert [s.spec.name for s in slos] == [s.name for s in config.slos]
    assert LAWS[config.pricing.law](config.pricing.law_options).kind == config.pricing.law
    assert set(config.pricing.priority) == {s.name for s in config.slos}


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda f: f.stem)
def test_a_scenario_loads_and_the_configuration_that_it_changes_is_there(file: Path) -> None:
    scenario = Scenario.load(file)
    assert scenario.name == file.stem
    config = load(HOUSE / scenario.config, ENVIRON, read_secret=lambda path: b"secret\n")
    assert scenario.route in config.catalog.routes
    assert set(config.catalog.routes[scenario.route].models) <= set(scenario.backends)
    assert set(scenario.classes) <= set(config.catalog.classes)


@pytest.mark.parametrize("file", RECIPES, ids=lambda f: f.stem)
def test_a_recipe_loads_and_names_a_router(file: Path) -> None:
    assert read_recipe(file).kind in ROUTERS
