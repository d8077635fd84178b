"""What is fixed before a scenario is played, on sockets or on virtual time: arrivals, prompts, router, threshold.

Both kinds of run start from the same Plan, so that what differs between their results is the playing alone. The length of
a request is what its prompt really has: a question longer than the trace's prompt makes the request longer, in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gateway.config.load import Config
from gateway.config.load import load as load_config
from gateway.core.pricing.threshold import Gain
from gateway.edges.scoring.scorer import Scored, Scoring
from load.arrivals import Arrival
from load.prompts import DATA_VARIABLE, Prompt, open_prompts
from load.scenario import CALIBRATED, Addresses, Scenario, ScenarioError, budget_usd, gateway_yaml, tariffs_of

NOWHERE = Addresses()
NOBODY = "nobody-listens"


@dataclass(frozen=True)
class Plan:
    """One scenario, ready to be played."""

    scenario: Scenario
    traffic: list[tuple[Arrival, str]]
    """Arrivals with their classes, in order of time."""
    prompts: list[Prompt]
    """One per arrival."""
    budget_usd: float | None
    strong: str
    """Name of the route's best model."""

    def config(
        self,
        where: Addresses = NOWHERE,
        started_wall_s: float = 0.0,
        admin_token: str = "",
        lead_s: float = 0.0,
        tail_s: float = 0.0,
    ) -> str:
        """Return the YAML of the gateway under test; see `gateway_yaml`.

        Raises: ScenarioError, gateway.config.errors.ConfigErrors, router_models' ArtifactError.
        """
        threshold = self.calibrated() if self.scenario.law in CALIBRATED else None
        return gateway_yaml(self.scenario, self.traffic, where, started_wall_s, admin_token or NOBODY, threshold, lead_s, tail_s)

    def notes(self) -> dict[str, Any]:
        """Return what a report shows of the plan: what was broken and when, what came in bursts."""
        s = self.scenario
        faults = [
            {"kind": f.kind.value, "target": f.target, "at_s": f.at_s, "for_s": min(f.for_s, s.duration_s - f.at_s)} for f in s.faults
        ]
        return {"faults": faults, "bursts": [dict(b) for b in s.bursts], "router": s.router or "as configured"}

    def scored(self) -> Scored:
        """Return the route's scorer, as a gateway with this configuration would load it."""
        config = parsed(gateway_yaml(replace(self.scenario, law=None), self.traffic, NOWHERE, 0.0, NOBODY, None), self.scenario)
        return Scoring().scored(config.catalog.routes[self.scenario.route], Path(config.path).resolve().parent)

    def calibrated(self) -> float:
        """Return the fixed threshold whose strong share meets the budget, if the traffic is as forecast.

        The share that budget and forecast afford at this traffic's mean cost, read off the quantiles of the gains in the router's
        calibration sample. Source of the method: Ong et al., RouteLLM, arXiv:2406.18665, section 4.
        """
        budget = self.scenario.budget
        share = 1.0
        if budget is not None and self.budget_usd is not None:
            strong, weak = mean_usd(self.scenario, self.traffic)
            share = (self.budget_usd / (len(self.traffic) * budget.forecast_factor) - weak) / (strong - weak)
        scored = self.scored()
        gains = scored.sample[:, 0] - scored.sample[:, 1]
        return float(Gain(tuple(scored.knots)).win_rate(float(np.quantile(gains, 1 - float(np.clip(share, 0.0, 1.0))))))


def prepare(scenario: Scenario, data: Path | None) -> Plan:
    """Draw a scenario's traffic and prompts.

    Args:
        data: folder of the public data; None takes the environment's, for what needs it.
    Raises: ScenarioError, ArrivalsError, PromptsError: one line each.
    """
    if data is None and scenario.arrivals.get("kind") == "trace":
        raise ScenarioError(
            f"{scenario.name} takes its arrivals from {scenario.arrivals.get('file')}: set {DATA_VARIABLE} to the data folder"
        )
    drawn = scenario.traffic(data or Path())
    rng = np.random.Generator(np.random.PCG64([scenario.seed, 3]))
    prompts = open_prompts(str(scenario.prompts.get("kind", "generated")), rng, data)
    asked = [prompts.take(arrival.input_tokens) for arrival, _ in drawn]
    traffic = [(replace(a, input_tokens=p.prompt_tokens), klass) for (a, klass), p in zip(drawn, asked, strict=True)]
    tariffs = tariffs_of(scenario)
    budget = None if scenario.budget is None or not traffic else budget_usd(scenario.budget, traffic, tariffs)
    return Plan(scenario, traffic, asked, budget, next(iter(tariffs)))


def slo_notes(config: Config) -> dict[str, Any]:
    """Return the SLOs as a report needs them to draw burn rates."""
    return {
        "slos": [
            {"name": s.name, "kind": s.kind, "objective": s.objective, "at_most_s": getattr(s.options, "at_most", None)}
            for s in config.slos
        ]
    }


def mean_usd(scenario: Scenario, traffic: Sequence[tuple[Arrival, str]]) -> tuple[float, float]:
    """Return the mean dollars of a request on the route's best and on its second model."""
    strong, weak = list(tariffs_of(scenario).values())[:2]
    usd = [[t.usd(a.input_tokens, a.output_tokens) for a, _ in traffic] for t in (strong, weak)]
    return float(np.mean(usd[0])), float(np.mean(usd[1]))


def parsed(content: str, scenario: Scenario) -> Config:
    """Read a configuration that `gateway_yaml` wrote. Raises: gateway.config.errors.ConfigErrors."""
    return load_config(scenario.config, {}, content=content.encode())
