"""State, metrics, overrides and explanations of one small house, seen through its admin port."""

import argparse
import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.commands import explain, pin, unpin

BEARER = {"Authorization": "Bearer admin-token"}


async def get(url: str) -> Any:
    async with aiohttp.ClientSession(headers=BEARER) as session, session.get(url) as answer:
        assert answer.status == 200
        return await (answer.json() if answer.content_type == "application/json" else answer.text())


async def verb(module: Any, *arguments: object) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    args = parser.parse_args([str(a) for a in arguments])
    return int(await asyncio.to_thread(module.run, args))


async def test_the_state_shows_budgets_prices_backends_and_decisions(house: Any) -> None:
    state = await get(f"{house.url}/admin/state")
    budgets = {b["slo"]: b for b in state["board"]["budgets"]}
    assert budgets.keys() == {"availability", "first-token", "spend"}
    assert budgets["availability"]["bad"] == 1
    assert budgets["spend"]["spent_usd"] > 0
    for budget in budgets.values():
        assert {"remaining", "burn", "price", "allowance", "kind", "route", "projected", "exhausts_wall_s"} <= budget.keys()
    assert 0 <= state["board"]["alpha_ref"]["auto"] <= 1
    assert state["board"]["traffic"]["models"].keys() <= {"strong", "weak"}
    assert {b["breaker"] for b in state["local"]["backends"]} <= {"closed", "half_open", "open"}
    assert state["worker"]["decisions"][0]["request_id"] == "req_0040"


async def test_metrics_agree_with_the_state(house: Any) -> None:
    state, text = await get(f"{house.url}/admin/state"), await get(f"{house.url}/metrics")
    values = {k: float(v) for k, v in re.findall(r"^([^#\s]\S*(?: [^\s]*)*?) (\S+)$", text, re.MULTILINE)}
    for budget in state["board"]["budgets"]:
        labels = f'slo="{budget["slo"]}",kind="{budget["kind"]}"' + (f',route="{budget["route"]}"' if budget["route"] else "")
        assert values[f"sluice_price{{{labels}}}"] == budget["price"]
        assert values[f"sluice_budget_remaining_ratio{{{labels}}}"] == budget["remaining"]
    assert values['sluice_alpha_ref{route="auto"}'] == state["board"]["alpha_ref"]["auto"]
    counted = sum(v for k, v in values.items() if k.startswith("sluice_requests_total{") and 'fault="backend"' in k)
    assert counted == 1
    assert sum(v for k, v in values.items() if k.startswith("sluice_cost_usd_total")) == pytest.approx(
        next(b["spent_usd"] for b in state["board"]["budgets"] if b["slo"] == "spend"), abs=1e-6
    )


async def test_promtool_finds_nothing_wrong_with_the_metrics(house: Any) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    text = await get(f"{house.url}/metrics")
    done = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode in (0, 3), done.stderr


async def test_a_pin_from_the_command_line_is_in_force_and_shown_until_it_is_taken_back(house: Any, tmp_path: Path) -> None:
    where = ("--config", tmp_path / "sluice.yaml", "--admin", house.url)
    assert await verb(pin, "auto", "--threshold", "0.01", "--for", "1h", *where) == 0
    state = await get(f"{house.url}/admin/state")
    [shown] = state["local"]["overrides"]["pins"]
    assert (shown["route"], shown["threshold"]) == ("auto", 0.01)
    assert shown["until_wall_s"] == pytest.approx(state["wall_s"] + 3600, abs=5)
    house.request(50)
    assert (await get(f"{house.url}/admin/decisions?n=1"))["decisions"][0]["why"] == "pin"
    assert "sluice_pinned_routes 1.0" in await get(f"{house.url}/metrics")
    assert await verb(unpin, "--all", *where) == 0
    assert (await get(f"{house.url}/admin/state"))["local"]["overrides"]["pins"] == []


async def test_a_pin_of_an_unknown_route_is_refused(house: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await verb(pin, "autoo", "--threshold", "0.5", "--for", "1h", "--config", tmp_path / "sluice.yaml", "--admin", house.url) == 1
    assert "there are auto" in capsys.readouterr().err


async def test_logged_decisions_are_made_again_and_a_prompt_is_tried_under_the_running_prices(
    house: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await verb(explain, "--from-log", tmp_path / "decisions.jsonl") == 0
    assert capsys.readouterr().out.startswith("41 equal, 0 different")
    assert await verb(explain, "--config", tmp_path / "sluice.yaml", "--admin", house.url, "--", "What is the capital of France?") == 0
    state, out = await get(f"{house.url}/admin/state"), capsys.readouterr().out
    assert f"prices {state['local']['prices_version']} (law shadow_price, mode {state['board']['mode']})" in out
