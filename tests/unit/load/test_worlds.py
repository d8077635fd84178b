"""A small world of our own: what is shown when, and what a replay leaves."""

import json
import re

import numpy as np
import pytest

from load.__main__ import main
from load.worlds import MODELS, World, replay, write

ROWS, PERIOD_S = 600, 3600.0
NEVER_SHOWN = ("p_ok_strong", "p_ok_weak", "price_factor")


def world(seed: int = 1, ok_strong: float = 1.0, budget_share: float = 0.35, gaps: tuple[tuple[float, float], ...] = ()) -> World:
    rng = np.random.default_rng(seed)
    seen = rng.random(ROWS)
    columns = {
        "t_s": np.sort(rng.uniform(0, PERIOD_S, ROWS)),
        "klass": rng.choice(3, ROWS, p=[0.1, 0.6, 0.3]),
        "q_strong": 0.93 - 0.05 * seen,
        "q_weak": 0.93 - 0.55 * seen,
        "usd_strong_expected": np.full(ROWS, 0.005),
        "usd_weak_expected": np.full(ROWS, 0.0003),
        "usd_strong": np.full(ROWS, 0.005),
        "usd_weak": np.full(ROWS, 0.0003),
        "ok_strong": rng.random(ROWS) < ok_strong,
        "ok_weak": np.ones(ROWS, dtype=bool),
        "ttft_strong_s": np.full(ROWS, 0.4),
        "ttft_weak_s": np.full(ROWS, 0.2),
        "y_strong": np.ones(ROWS, dtype=np.int8),
        "y_weak": (rng.random(ROWS) < 0.6).astype(np.int8),
        "settle_s": np.full(ROWS, 5.0),
        "has_verdict": rng.random(ROWS) < 0.1,
    }
    card = {k: columns[k].astype(float).tolist() for k in ("klass", "q_strong", "q_weak", "usd_strong_expected", "usd_weak_expected")}
    budget = ROWS * (budget_share * 0.005 + (1 - budget_share) * 0.0003)
    facts = {
        "name": "small", "seed": seed, "rows": ROWS, "period_s": PERIOD_S, "budget_usd": budget, "tick_s": 5.0, "telemetry_delay_s": 10.0,
        "forecast_requests": float(ROWS), "forecast_hourly": [ROWS / 24] * 24, "gain_slope": 0.5,
        "classes": {"critical": 10.0, "standard": 3.0, "batch": 1.0}, "priority": ["availability", "ttft", "cost", "quality"],
        "slos": {"availability": {"objective": 0.998}, "ttft": {"objective": 0.95, "at_most_s": 2.0}, "quality": {"objective": 0.7}},
        "events": [{"kind": "telemetry_gap", "start_s": a, "end_s": b, "size": 0.0} for a, b in gaps], "card": card,
    }  # fmt: skip
    return World(columns, facts)


def spend(w: World, choices: list[str]) -> float:
    return float(sum(w.columns[f"usd_{c}"][i] for i, c in enumerate(choices)) / w.facts["budget_usd"])


def test_every_row_is_decided_and_the_budget_is_met():
    w = world()
    run = replay(w, "shadow_price")
    assert set(run.choices) <= set(MODELS) and len(run.choices) == ROWS
    assert spend(w, run.choices) == pytest.approx(1.0, abs=0.03)


def test_the_same_world_is_decided_the_same_way_again():
    assert replay(world(), "shadow_price").choices == replay(world(), "shadow_price").choices


def test_what_must_not_be_seen_is_not_needed():
    shown, hidden = world(), world()
    for name in NEVER_SHOWN:
        hidden.columns[name] = np.full(ROWS, np.nan)
    assert not set(NEVER_SHOWN) & set(shown.columns)
    assert replay(shown, "shadow_price").choices == replay(hidden, "shadow_price").choices


def test_the_option_that_was_not_chosen_changes_nothing():
    w, other = world(), world()
    choices = replay(w, "shadow_price").choices
    for i, chosen in enumerate(choices):
        unchosen = "weak" if chosen == "strong" else "strong"
        other.columns[f"usd_{unchosen}"][i], other.columns[f"ok_{unchosen}"][i] = 99.0, False
    assert replay(other, "shadow_price").choices == choices


def test_a_broken_model_is_left_and_probed():
    w = world(ok_strong=0.0)
    choices = replay(w, "shadow_price").choices
    strong = [i for i, c in enumerate(choices) if c == "strong"]
    assert 0 < len(strong) < 0.2 * ROWS


def test_ticks_go_on_with_frozen_prices_while_telemetry_is_silent():
    run = replay(world(gaps=((600.0, 1200.0),)), "shadow_price")
    times = [t["t_s"] for t in run.ticks]
    assert np.allclose(np.diff(times), 5.0) and times[0] == 0.0 and times[-1] == PERIOD_S - 5.0
    silent = [t["prices"]["cost"] for t in run.ticks if 600.0 <= t["t_s"] < 1200.0]
    assert len(set(silent)) == 1


def test_the_static_law_holds_the_threshold_that_the_forecast_affords():
    w = world()
    run = replay(w, "static")
    assert len({t["alpha_ref"] for t in run.ticks}) == 1
    assert np.mean([c == "strong" for c in run.choices]) == pytest.approx(0.35, abs=0.03)


def test_logs_are_written_in_the_form_that_a_scorer_reads(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    run = replay(world(), "shadow_price")
    write(run, tmp_path)
    table = parquet.read_table(tmp_path / "decisions.parquet").to_pydict()
    assert table["row"] == list(range(ROWS)) and table["choice"] == run.choices
    lines = [json.loads(line) for line in (tmp_path / "ticks.jsonl").read_text().splitlines()]
    assert [line["t_s"] for line in lines] == [t["t_s"] for t in run.ticks]
    assert all(0.0 <= line["alpha_ref"] <= 1.0 for line in lines)


def test_a_world_in_a_folder_is_played_from_the_command_line_which_says_how_fast_it_was(tmp_path, monkeypatch, capsys):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    w = world()
    pq.write_table(pa.table(w.columns), tmp_path / "world.parquet")
    (tmp_path / "world.json").write_text(json.dumps(w.facts))
    monkeypatch.setattr("sys.argv", ["load", "sim", "--world", str(tmp_path), "--log", str(tmp_path / "log")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert re.match(rf"{ROWS} requests in \d+\.\d s of CPU, [\d,]+ a second; ", capsys.readouterr().out)
    assert pq.read_table(tmp_path / "log" / "decisions.parquet")["choice"].to_pylist() == replay(w, "shadow_price").choices
