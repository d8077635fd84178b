"""The stage's own arithmetic and files; that it really starts things is shown in tests/integration/load."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from load.events import Event, EventKind
from load.plan import prepare
from load.scenario import Budget, Scenario
from load.stage import Stage, copy_builtin_router, lead_s
from router_models import artifact

TINY = Scenario("tiny", 20.0, {"kind": "poisson", "rate_rps": 2.0}, backends={"strong": "hosted", "weak": "small"}, budget=Budget(0.35))


def test_the_lead_grows_with_the_speed_of_the_clock_only_where_it_runs() -> None:
    assert lead_s(1.0) == pytest.approx(1.5)
    assert lead_s(6.0) == pytest.approx(6.5)


def test_the_copied_router_is_the_builtin_one(tmp_path: Path) -> None:
    copied = artifact.load(copy_builtin_router(tmp_path))
    assert copied.card.artifact_id == artifact.builtin().card.artifact_id


async def test_a_reload_changes_the_meaning_of_the_file_every_time(tmp_path: Path) -> None:
    stage = Stage(prepare(TINY, None), tmp_path, 1.0)
    stage.config.write_text(stage.plan.config())
    before = yaml.safe_load(stage.config.read_text())
    await stage.do(Event(EventKind.RELOAD, 0.0))
    first = yaml.safe_load(stage.config.read_text())
    await stage.do(Event(EventKind.RELOAD, 0.0))
    second = yaml.safe_load(stage.config.read_text())
    assert first != before
    assert second != first
    assert {k: v for k, v in first.items() if k != "server"} == {k: v for k, v in before.items() if k != "server"}


async def test_removing_the_router_removes_the_copy_only(tmp_path: Path) -> None:
    scenario = replace(TINY, router=str(copy_builtin_router(tmp_path)))
    stage = Stage(prepare(scenario, None), tmp_path, 1.0)
    stage.config.write_text(stage.plan.config())
    await stage.do(Event(EventKind.REMOVE_ROUTER, 0.0))
    assert not (tmp_path / "router").exists()
    assert artifact.builtin().card.models
