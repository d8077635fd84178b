"""Plans: both kinds of run start from the same requests; the fixed threshold affords the share on the router's own sample."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from load.plan import mean_usd, parsed, prepare
from load.scenario import Budget, Scenario, ScenarioError

TINY = Scenario("tiny", 60.0, {"kind": "poisson", "rate_rps": 5.0}, backends={"strong": "hosted", "weak": "small"}, budget=Budget(0.35))


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    assert prepare(TINY, None) == prepare(TINY, None)


def test_a_request_is_as_long_as_its_prompt_really_is() -> None:
    plan = prepare(replace(TINY, arrivals={"kind": "poisson", "rate_rps": 5.0, "input_tokens": 5}), None)
    assert all(a.input_tokens == p.prompt_tokens for (a, _), p in zip(plan.traffic, plan.prompts, strict=True))
    assert max(a.input_tokens for a, _ in plan.traffic) > 10  # Questions are longer than 5 tokens.


@pytest.mark.parametrize(("share", "factor"), [(0.35, 1.0), (0.35, 1.3), (0.2, 0.7)])
def test_the_fixed_threshold_affords_the_forecast_on_the_calibration_sample(share: float, factor: float) -> None:
    plan = prepare(replace(TINY, law="static", budget=Budget(share, factor)), None)
    scored = plan.scored()
    gains = scored.sample[:, 0] - scored.sample[:, 1]
    at = plan.calibrated()
    win_rates = np.interp(gains, [g for _, g in scored.knots], [w for w, _ in scored.knots])
    strong_usd, weak_usd = mean_usd(plan.scenario, plan.traffic)
    affordable = (share * strong_usd + (1 - share) * weak_usd) / factor
    afforded = (affordable - weak_usd) / (strong_usd - weak_usd)
    assert float((win_rates >= at).mean()) == pytest.approx(afforded, abs=0.02)


def test_a_plan_gives_a_configuration_that_loads() -> None:
    plan = prepare(replace(TINY, law="static"), None)
    config = parsed(plan.config(), plan.scenario)
    assert config.pricing.law == "static"
    assert plan.strong == "strong"
    assert plan.budget_usd == pytest.approx(next(s.options.usd for s in config.slos if s.kind == "cost"))


def test_a_trace_without_data_says_what_to_set() -> None:
    with pytest.raises(ScenarioError, match="SLUICE_DATA"):
        prepare(replace(TINY, arrivals={"kind": "trace", "file": "traces/x.csv.gz"}), None)


def test_a_trace_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.csv\.gz"):
        prepare(replace(TINY, arrivals={"kind": "trace", "file": "traces/x.csv.gz"}), tmp_path)


def test_faults_are_noted_within_the_scenario() -> None:
    from load.faults import Fault

    plan = prepare(replace(TINY, faults=(Fault("refuse", 50.0, target="strong"),)), None)  # type: ignore[arg-type]
    assert plan.notes()["faults"] == [{"kind": "refuse", "target": "strong", "at_s": 50.0, "for_s": 10.0}]
