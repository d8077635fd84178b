"""The same scenario over sockets and on virtual time: close in what budgets see; events hurt the gateway and are written down."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from load.compare import differences
from load.result import NOT_RUNNING, Result

ROOT = Path(__file__).parents[3]
Start = Callable[..., "subprocess.Popen[str]"]

SCENARIO = """
name: short
seed: 5
duration_s: {duration_s}
arrivals: {{kind: poisson, rate_rps: {rate_rps}, input_tokens: 300, output_tokens: 40}}
prompts: {{kind: generated}}
stream_share: 0.7
backends: {{strong: hosted, weak: small}}
{more}
"""


@pytest.fixture
def short(tmp_path: Path) -> Callable[..., Path]:
    (tmp_path / "config").symlink_to(ROOT / "config")

    def write(duration_s: float = 20.0, rate_rps: float = 4.0, more: str = "budget: {strong_share: 0.35}") -> Path:
        (tmp_path / "short.yaml").write_text(SCENARIO.format(duration_s=duration_s, rate_rps=rate_rps, more=more))
        return tmp_path / "short.yaml"

    return write


def finished(process: "subprocess.Popen[str]", out: Path) -> tuple[Result, str]:
    said, complaints = process.communicate(timeout=100)
    assert process.returncode == 0, complaints
    return Result.read(out / "result.json"), said


def test_sockets_and_virtual_time_agree(load: Start, left: Any, short: Callable[..., Path], tmp_path: Path) -> None:
    more = "law: static\nbudget: {strong_share: 0.35}\nfaults: [{kind: errors, size: 1, target: strong, at_s: 40, for_s: 10}]"
    scenario = short(duration_s=80.0, rate_rps=5.0, more=more)
    simulated, _ = finished(load("sim", str(scenario), "--out", "sim"), tmp_path / "sim")
    played, said = finished(load("run", str(scenario), "--speed", "8", "--out", "run"), tmp_path / "run")
    assert len(played.rows) == len(simulated.rows)
    assert [r.at_s for r in played.rows] == [r.at_s for r in simulated.rows]
    gaps = differences(played, simulated)
    assert abs(gaps["availability"] or 0.0) <= 2.0
    assert abs(gaps["strong_share"] or 0.0) <= 5.0, gaps
    assert abs(gaps["spend_over_budget"] or 0.0) <= 5.0, gaps
    # Both sides of the socket count the same dollars.
    assert played.notes["gateway_over_harness"] == pytest.approx(1.0, abs=0.01)
    assert len(played.samples) >= 10
    assert played.notes["switched"][0]["at_s"] == pytest.approx(40.0, abs=2.0)
    during = [r for r in played.rows if 42 < r.at_s < 49 and r.model is not None]
    assert {r.model for r in during} == {"weak"}
    assert "spend / budget" in said
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Spend against budget" in page
    compared = load("compare", "run/result.json", "sim/result.json", "--within", "5")
    out, _ = compared.communicate(timeout=20)
    assert compared.returncode == 0
    assert "points" in out
    assert left.is_gone_within(5.0)


def test_a_killed_store_costs_no_request(load: Start, short: Callable[..., Path], tmp_path: Path) -> None:
    words = ("run", str(short()), "--speed", "4", "--event", "kill-store@6:4", "--event", "reload@12", "--out", "run")
    result, _ = finished(load(*words), tmp_path / "run")
    assert result.figures()["failed"] == 0
    assert result.notes["gateway_over_harness"] == pytest.approx(1.0, abs=0.01)
    assert [e["kind"] for e in result.notes["events"]] == ["kill-store", "reload"]
    assert "cannot be reached" in result.notes["gateway_store"]["last_error"]
    assert result.notes["gateway_config"]["generation"] == 2
    assert result.notes["gateway_store"]["is_away"] is False


def test_a_restarted_gateway_goes_on_with_its_budget(load: Start, short: Callable[..., Path], tmp_path: Path) -> None:
    result, _ = finished(load("run", str(short(duration_s=10.0)), "--event", "restart-gateway@4:1", "--out", "run"), tmp_path / "run")
    figures = result.figures()
    assert figures["failed"] == 0
    assert figures["not_running"] > 0
    (event,) = result.notes["events"]
    assert {r.reason for r in result.rows if r.reason != "served"} == {NOT_RUNNING}
    assert all(event["begun_s"] - 0.5 <= r.at_s <= event["ended_s"] for r in result.rows if r.reason == NOT_RUNNING)
    # The store's own account, over the restart: nothing lost, nothing twice.
    assert result.notes["gateway_over_harness"] == pytest.approx(1.0, abs=0.005)


def test_a_removed_router_is_noticed_by_nobody_who_asks(load: Start, short: Callable[..., Path], tmp_path: Path) -> None:
    words = ("run", str(short()), "--speed", "4", "--event", "remove-router@8", "--out", "run")
    result, _ = finished(load(*words), tmp_path / "run")
    assert result.figures()["failed"] == 0
    assert not (tmp_path / "run" / "router").exists()
    assert {r.model for r in result.rows if r.at_s > 10} == {"strong", "weak"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing(load: Start, left: Any, short: Callable[..., Path], tmp_path: Path, number: int) -> None:
    run = load("run", str(short(duration_s=300.0)), "--out", "run")
    until_s = time.monotonic() + 20
    while not (tmp_path / "run" / "state" / "store.sock").exists() and time.monotonic() < until_s:
        time.sleep(0.05)
    time.sleep(1.5)
    run.send_signal(number)
    assert run.wait(20) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert left.is_gone_within(15.0), left.pids()


def test_a_gateway_that_runs_already_can_be_visited(load: Start, short: Callable[..., Path], tmp_path: Path) -> None:
    first = load("run", str(short(duration_s=60.0)), "--out", "first")
    config = tmp_path / "first" / "gateway.yaml"
    until_s = time.monotonic() + 20
    while not (tmp_path / "first" / "state" / "decisions.jsonl").exists() and time.monotonic() < until_s:
        time.sleep(0.05)
    address = yaml.safe_load(config.read_text())["server"]["listen"]
    words = ("run", str(short(duration_s=3.0, more="")), "--url", f"http://{address}", "--key", "sk-load-standard", "--out", "second")
    result, _ = finished(load(*words), tmp_path / "second")
    assert result.figures()["availability"] == 1.0
    assert result.samples == []
    assert result.notes["url"] == f"http://{address}"
    first.send_signal(signal.SIGINT)
    first.wait(20)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("run", "short.yaml", "--event", "kill@5"), "NAME@AT"),
        (("run", "short.yaml", "--speed", "0"), "--speed must be above 0"),
        (("run", "short.yaml", "--router", "/nowhere/router", "--law", "statik"), "statik"),
        (("sim", "short.yaml", "--law", "statik"), "statik"),
        (("sim",), "name a scenario"),
        (("compare", "a.json", "b.json"), "a.json cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(load: Start, short: Callable[..., Path], words: tuple[str, ...], says: str) -> None:
    short()
    process = load(*words)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2, err
    assert says in err
    assert "Traceback" not in err
    assert err.strip().count("\n") == 0, err


def test_a_trace_without_data_says_what_to_set(
    load: Start, short: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLUICE_DATA", raising=False)
    path = short()
    path.write_text(
        path.read_text().replace("kind: poisson, rate_rps: 4.0, input_tokens: 300, output_tokens: 40", "kind: trace, file: t.csv")
    )
    process = load("sim", str(path))
    _, err = process.communicate(timeout=30)
    assert (process.returncode, "SLUICE_DATA" in err) == (2, True)


@pytest.mark.skipif(not os.environ.get("SLUICE_DATA"), reason="SLUICE_DATA names no data folder")
def test_first_light_lands_on_its_budget_on_virtual_time(load: Start, short: Callable[..., Path], tmp_path: Path) -> None:
    short()
    words = ("sim", str(ROOT / "load" / "scenarios" / "first-light.yaml"), "--out", "sim")
    result, said = finished(load(*words), tmp_path / "sim")
    assert 0.97 <= result.figures()["spend_over_budget"] <= 1.03
    assert json.loads((tmp_path / "sim" / "result.json").read_text())["figures"]["availability"] > 0.995
    assert "first-light (sim, shadow_price)" in said
