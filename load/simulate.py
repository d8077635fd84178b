"""Play a plan on virtual time: the gateway's own YAML, read as a gateway reads it, into `load.sim`."""

from load.plan import Plan, parsed, slo_notes
from load.result import Result
from load.sim import Simulation, prediction_of

STARTED_WALL_S = 1_700_000_000.0
"""Any moment would do; a fixed one makes results equal byte for byte."""


def simulate(plan: Plan) -> Result:
    """Return what happened; the same for the same plan.

    Raises: ScenarioError, ConfigErrors, ArtifactError.
    """
    config = parsed(plan.config(started_wall_s=STARTED_WALL_S), plan.scenario)
    scored = plan.scored()
    prediction = prediction_of(scored.knots, scored.sample)
    simulation = Simulation(plan.scenario, config, prediction, scored.scorer.qualities, STARTED_WALL_S)
    result = simulation.run(plan.traffic, [p.question.text for p in plan.prompts])
    result.notes |= {**plan.notes(), **slo_notes(config), "seed": plan.scenario.seed}
    return result
