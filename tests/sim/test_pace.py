"""A budget of pace on virtual time: the law, the learned risk and the probes together, while text comes too slowly from one model."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from gateway.config.load import load as load_config
from load.arrivals import Arrival
from load.faults import Fault, FaultKind
from load.result import Result
from load.scenario import Addresses, Scenario, gateway_yaml
from load.sim import Simulation, prediction_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]
SLOW = Fault(FaultKind.SLOW, 600.0, 2400.0, "strong", size=15.0)
"""180 ms a token for 40 minutes: 5.5 tokens a second where 10 are expected."""
WORLD = Scenario("pace", 3600.0, {"kind": "poisson"}, backends={"strong": "hosted", "weak": "small"}, stream_share=1.0, faults=(SLOW,))
PACE = {
    "name": "pace",
    "sli": {"kind": "itl", "first_token": "3s", "tokens_per_s": 10, "max_stall": "1s"},
    "objective": 0.95,
    "window": "1h",
}
TRAFFIC = [(Arrival(0.5 * i, 300, 100), "standard") for i in range(7000)]
SLOW_S = 13.0
"""Ten seconds for a hundred tokens, and three to the first."""


def qualities(prompt: str) -> tuple[float, float]:
    """Some prompts need the strong model, some hardly."""
    return (0.9, 0.1) if prompt == "hard" else (0.9, 0.8)


def played(is_watched: bool) -> Result:
    """Play the hour, with or without an objective of pace."""
    scenario = replace(WORLD, law=None)
    written = yaml.safe_load(gateway_yaml(scenario, TRAFFIC, Addresses(), 1_700_000_000.0, "t", 0.5))
    written["slos"] += [PACE] if is_watched else []
    written["pricing"].pop("priority", None)
    config = load_config("x.yaml", {}, content=yaml.safe_dump(written).encode())
    rng = np.random.default_rng(1)
    prompts = ["hard" if rng.random() < 0.6 else "easy" for _ in TRAFFIC]
    sample = np.array([qualities(p) for p in ("hard", "easy")] * 50)
    return Simulation(scenario, config, prediction_of(((0.0, 0.0), (1.0, 1.0)), sample), qualities, 1_700_000_000.0).run(TRAFFIC, prompts)


def shares(result: Result, from_s: float, to_s: float) -> tuple[float, float]:
    """Return the strong share, and the share of answers that came too slowly."""
    rows = [r for r in result.rows if from_s <= r.at_s < to_s]
    return sum(r.model == "strong" for r in rows) / len(rows), sum(r.total_s > SLOW_S for r in rows) / len(rows)


def test_a_priced_pace_moves_the_traffic_and_lets_it_come_back() -> None:
    watched, blind = played(True), played(False)
    assert shares(blind, 1500, 3000)[1] > 0.9
    strong, slow = shares(watched, 1500, 3000)
    assert slow < 0.05 and 0.0 < strong < 0.1, "but for the probes"
    assert shares(watched, 3200, 3500)[0] > 0.5 * shares(watched, 0, 600)[0]
