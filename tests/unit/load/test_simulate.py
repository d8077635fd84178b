"""A plan on virtual time: the whole way from a scenario to a result, the same every time."""

from load.plan import prepare
from load.scenario import Budget, Scenario
from load.simulate import simulate

SCENARIO = Scenario(
    "tiny", 300.0, {"kind": "poisson", "rate_rps": 4.0}, backends={"strong": "hosted", "weak": "small"}, budget=Budget(0.35)
)


def test_a_plan_is_played_whole_and_the_same_every_time() -> None:
    plan = prepare(SCENARIO, None)
    first = simulate(plan)
    assert first == simulate(plan)
    assert len(first.rows) == len(plan.traffic)
    assert first.kind == "sim"
    assert first.budget_usd == plan.budget_usd
    assert {slo["kind"] for slo in first.notes["slos"]} == {"availability", "ttft", "cost"}


def test_the_budget_moves_the_router() -> None:
    shares = []
    for share in (0.1, 0.6):
        scenario = Scenario(**{name: getattr(SCENARIO, name) for name in SCENARIO.__dataclass_fields__} | {"budget": Budget(share)})
        figures = simulate(prepare(scenario, None)).figures()
        assert figures["spend_over_budget"] < 1.15
        shares.append(figures["strong_share"])
    assert shares[0] + 0.2 < shares[1]
