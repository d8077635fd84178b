"""Virtual time against closed forms: what a request takes and costs, what faults do, and that nothing depends on luck."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from gateway.config.load import load as load_config
from gateway.domain.catalog import Tariff
from load.arrivals import Arrival
from load.engine import HOSTED, SMALL
from load.faults import Fault, FaultKind
from load.result import Result
from load.scenario import Addresses, Budget, Scenario, gateway_yaml
from load.sim import Simulation, prediction_of

STRONG, WEAK = Tariff(2.5, 10, 0.25), Tariff(0.15, 0.6)
"""As in config/sluice.yaml."""
BASE = Scenario("s", 600.0, {"kind": "poisson"}, backends={"strong": "hosted", "weak": "small"}, law="static", stream_share=1.0)
HARD, EASY = "hard", "easy"
KNOTS = ((0.0, 0.0), (1.0, 1.0))
WALL_0_S = 1_700_000_000.0


def qualities(prompt: str) -> tuple[float, float]:
    """Win rate 0.8 for hard prompts, 0.1 for easy ones."""
    return (0.9, 0.1) if prompt == HARD else (0.9, 0.8)


def played(scenario: Scenario, traffic: list[tuple[Arrival, str]], prompts: list[str], threshold: float = 0.5) -> Result:
    content = gateway_yaml(scenario, traffic, Addresses(), WALL_0_S, "t", threshold)
    config = load_config("x.yaml", {}, content=content.encode())
    sample = np.array([qualities(p) for p in (HARD, EASY)] * 50)
    return Simulation(scenario, config, prediction_of(KNOTS, sample), qualities, WALL_0_S).run(traffic, prompts)


def test_one_request_alone_takes_and_costs_exactly_what_the_formulas_say() -> None:
    arrival = Arrival(10.0, 2000, 50)
    (row,) = played(BASE, [(arrival, "standard")], [HARD]).rows
    ttft_s = HOSTED.entry_s + HOSTED.prefill_only_s + 2000 * HOSTED.prefill_s_per_token
    assert (row.model, row.reason, row.attempts) == ("strong", "served", 1)
    assert row.ttft_s == pytest.approx(ttft_s, abs=1e-9)
    assert row.total_s == pytest.approx(ttft_s + 49 * (HOSTED.d0_s + HOSTED.d1_s), abs=1e-9)
    assert row.usd == pytest.approx(2000 * 2.5e-6 + 50 * 10e-6, rel=1e-9)


def test_a_fixed_threshold_spends_exactly_what_its_split_costs() -> None:
    traffic = [(Arrival(5.0 * i, 500 + 10 * i, 20 + i), "standard") for i in range(100)]
    prompts = [HARD if i % 3 == 0 else EASY for i in range(100)]
    result = played(BASE, traffic, prompts)
    assert [r.model for r in result.rows] == ["strong" if p == HARD else "weak" for p in prompts]
    due = sum((STRONG if p == HARD else WEAK).usd(a.input_tokens, a.output_tokens) for (a, _), p in zip(traffic, prompts, strict=True))
    figures = result.figures()
    assert figures["spend_usd"] == pytest.approx(due, rel=1e-9)
    assert figures["strong_share"] == pytest.approx(34 / 100)
    # The budget's own account agrees, but for what is flushed and judged after the last tick.
    assert result.samples[-1].spent_usd == pytest.approx(due, rel=0.02)
    weak = [(r, a) for r, (a, _) in zip(result.rows, traffic, strict=True) if r.model == "weak"]
    for row, arrival in weak:
        assert row.ttft_s == pytest.approx(SMALL.prefill_only_s + arrival.input_tokens * SMALL.prefill_s_per_token, abs=1e-9)


@pytest.mark.parametrize(("threshold", "share"), [(0.0, 1.0), (0.05, 1.0), (0.9, 0.0)])
def test_the_threshold_divides_by_win_rate(threshold: float, share: float) -> None:
    traffic = [(Arrival(2.0 * i, 300, 20), "standard") for i in range(50)]
    assert played(BASE, traffic, [HARD, EASY] * 25, threshold).figures()["strong_share"] == share


def test_a_run_is_the_same_every_time() -> None:
    scenario = replace(BASE, arrivals={"kind": "poisson", "rate_rps": 3.0}, stream_share=0.5, law=None)
    traffic = scenario.traffic(Path())
    prompts = [HARD if i % 2 else EASY for i in range(len(traffic))]
    assert played(scenario, traffic, prompts) == played(scenario, traffic, prompts)


def test_a_refusing_backend_loses_only_streams_that_had_begun() -> None:
    fault = Fault(FaultKind.REFUSE, 100.0, 60.0, "strong")
    traffic = [(Arrival(1.0 * i + 0.25, 300, 100), "standard") for i in range(300)]
    result = played(replace(BASE, faults=(fault,)), traffic, [HARD] * 300)
    lost = [r for r in result.rows if r.reason != "served"]
    # An answer takes 0.4 + 99 * 0.014 s, so one or two streams are under way when the backend dies.
    assert 1 <= len(lost) <= 2
    assert {r.reason for r in lost} == {"upstream_cut"}
    assert {r.model for r in result.rows if 100 < r.at_s < 160} == {"weak"}
    after = [r.model for r in result.rows if r.at_s > 220]
    assert after.count("strong") / len(after) > 0.9


def test_errors_are_answered_by_the_other_model() -> None:
    fault = Fault(FaultKind.ERRORS, 0.0, 1e9, "strong", 1.0)
    traffic = [(Arrival(2.0 * i, 300, 20), "standard") for i in range(40)]
    result = played(replace(BASE, faults=(fault,)), traffic, [HARD] * 40)
    assert {(r.reason, r.model) for r in result.rows} == {("served", "weak")}
    assert max(r.attempts for r in result.rows) == 2


def test_calls_that_are_not_streamed_have_no_first_token() -> None:
    (row,) = played(replace(BASE, stream_share=0.0), [(Arrival(0.0, 100, 10), "standard")], [HARD]).rows
    assert (row.reason, row.ttft_s) == ("served", None)


def test_samples_come_every_tick_and_show_prices() -> None:
    traffic = [(Arrival(2.0 * i, 300, 20), "standard") for i in range(50)]
    samples = played(replace(BASE, law="shadow_price"), traffic, [HARD, EASY] * 25).samples
    assert [s.t_s for s in samples[:4]] == [0.0, 5.0, 10.0, 15.0]
    assert "spend" in samples[-1].prices
    assert all(s.alpha_ref is not None and 0 <= s.alpha_ref <= 1 for s in samples)


def test_text_that_comes_too_slowly_is_counted_as_over_sockets() -> None:
    """A decode step of a hosted engine takes about 12 ms: 80 tokens a second, far from 1,000 and well above 6."""
    traffic = [(Arrival(5.0 * i, 500, 200), "standard") for i in range(20)]
    seen = {}
    for tokens_per_s in (6, 1000):
        written = yaml.safe_load(gateway_yaml(BASE, traffic, Addresses(), WALL_0_S, "t", 0.5))
        sli = {"kind": "itl", "first_token": "2s", "tokens_per_s": tokens_per_s, "max_stall": "1s"}
        written["slos"].append({"name": "pace", "sli": sli, "objective": 0.9, "window": "1h"})
        written["pricing"].pop("priority", None)
        config = load_config("x.yaml", {}, content=yaml.safe_dump(written).encode())
        sample = np.array([qualities(p) for p in (HARD, EASY)] * 50)
        simulation = Simulation(BASE, config, prediction_of(KNOTS, sample), qualities, WALL_0_S)
        simulation.run(traffic, [HARD] * 20)
        pace = next(s for s in simulation.core.slos if s.spec.kind == "itl")
        counts = simulation.state.counts
        seen[tokens_per_s] = tuple(counts.total(f, WALL_0_S, WALL_0_S + 1000) for f in (pace.bad_field, pace.valid_field))
    assert seen == {6: (0, 20), 1000: (20, 20)}


def test_a_bill_above_the_tariff_is_paid_and_learned_from() -> None:
    traffic = [(Arrival(5.0 * i, 500, 20), "standard") for i in range(200)]
    plain = played(BASE, traffic, [HARD] * 200)
    dear = played(replace(BASE, bills=({"target": "strong", "at_s": 0.0, "for_s": 1e9, "times": 3.0},)), traffic, [HARD] * 200)
    assert dear.figures()["spend_usd"] == pytest.approx(3 * plain.figures()["spend_usd"])
    elsewhere = replace(BASE, bills=({"target": "weak", "at_s": 0.0, "for_s": 1e9, "times": 3.0},))
    assert played(elsewhere, traffic, [HARD] * 200) == plain


BOUGHT = replace(BASE, duration_s=1000.0, law="shadow_price", budget=Budget(0.4), arrivals={"kind": "poisson", "rate_rps": 2.0})


def budgeted(scenario: Scenario) -> Result:
    traffic = scenario.traffic(Path())
    return played(scenario, traffic, [HARD if i % 2 else EASY for i in range(len(traffic))])


def test_an_edit_of_the_budget_keeps_what_was_spent_and_changes_what_is_left() -> None:
    edited = budgeted(replace(BOUGHT, budget_edits=({"at_s": 500.0, "times": 1.5},)))
    plain = budgeted(BOUGHT)
    assert edited.budget_usd == pytest.approx(1.5 * (plain.budget_usd or 0.0))
    spent = [next(s.spent_usd for s in r.samples if s.t_s >= 505.0) for r in (plain, edited)]
    assert spent[0] == pytest.approx(spent[1], rel=0.02)
    assert edited.figures()["spend_usd"] > 1.2 * plain.figures()["spend_usd"]


def test_while_the_store_is_away_prices_stay_and_counts_wait() -> None:
    result = budgeted(replace(BOUGHT, store_away=({"at_s": 300.0, "for_s": 400.0},)))
    times = [s.t_s for s in result.samples]
    assert not any(300.0 <= t < 700.0 for t in times) and times[-1] > 990.0
    spent = [s.spent_usd for s in result.samples if s.t_s < 998.0]  # The period ends with the scenario.
    due = sum(r.usd for r in result.rows if r.at_s + r.total_s < 990.0)
    assert spent[-1] == pytest.approx(due, rel=0.03)
