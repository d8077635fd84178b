"""`pid`: proportional, integral and derivative parts, and no wind-up."""

import json

import pytest

from gateway.core.pricing.laws.pid import CAP_COST, CAP_RATIO, SLOWNESS, PidLaw
from tests.unit.gateway.core.pricing.laws.test_shadow_price import FAIR, FIRST, FLEET, SPEND, cost, judged, paid, ticked


def law_at(*judgements: object) -> PidLaw:
    law = PidLaw(PidLaw.Options())
    law.start(ticked(*judgements, wall_s=0.0, dt_s=0.0, settled=0.0))  # type: ignore[arg-type]
    return law


def test_it_starts_where_the_cards_meet_the_budget() -> None:
    law = law_at(judged(SPEND), judged(FLEET))
    assert paid(law.memory.price["spend"]) == pytest.approx(FAIR, rel=0.02) and law.memory.price["availability"] == 0.0
    assert law.memory.cap == {"spend": pytest.approx(CAP_COST * law.memory.price["spend"]), "availability": CAP_RATIO}


def test_the_first_step_is_the_three_parts_by_skogestads_rule() -> None:
    law = law_at(judged(SPEND))
    start, plant = law.memory.price["spend"], law.memory.plant["spend"]
    law.step(ticked(judged(SPEND, fresh_bad=1.5 * 50 * FAIR, fresh_valid=50)))
    # At 10/s: lag 60 s, dead time 20 s, closed loop 5 * (20 + 30) + 20 s; error 1/2, come within 5 s.
    slow_s = SLOWNESS * 50 + 20
    gain = 60 / (plant * slow_s)
    assert law.memory.price["spend"] - start == pytest.approx(gain * (0.5 + 20 / 3 * 0.5 / 5 + 0.5 * 5 / 60))


def test_more_dollars_than_allowed_make_the_dollar_dearer_and_fewer_cheaper() -> None:
    for usd, sign in ((2.0, 1), (0.5, -1)):
        law = law_at(judged(SPEND))
        start = law.memory.price["spend"]
        for i in range(20):
            law.step(ticked(judged(SPEND, usd * 50 * FAIR, 50), wall_s=5.0 * i))
        assert sign * (law.memory.price["spend"] - start) > 0


def test_at_its_cap_a_price_does_not_wind_up() -> None:
    law = law_at(judged(FIRST))
    for i in range(2000):
        law.step(ticked(judged(FIRST, 50, 50), wall_s=5.0 * i))
    assert law.memory.price["first-token"] == CAP_RATIO
    left = next(i for i in range(1000) if law.step(ticked(judged(FIRST, 0, 50), wall_s=10_000.0 + 5 * i)).prices["first-token"] < CAP_RATIO)
    # Late ones are below a twentieth of the window after three times 300 s; the falling error lets go a little earlier.
    assert 600 <= 5 * left <= 900


def test_without_settled_requests_nothing_moves_and_a_suspended_process_does_not_jump() -> None:
    slow, fast = law_at(judged(SPEND)), law_at(judged(SPEND))
    spent = judged(SPEND, 100 * 50 * FAIR, 50)
    before = slow.memory.price["spend"]
    assert slow.step(ticked(judged(SPEND), settled=0.0)).prices == {"spend": before}
    slow.step(ticked(spent, dt_s=3600.0))
    fast.step(ticked(spent, dt_s=15.0))
    assert slow.memory.price == fast.memory.price


@pytest.mark.parametrize(("on_exhausted", "is_capped"), [("cheapest", True), ("alert", False)])
def test_a_spent_budget_takes_its_cap_unless_it_only_alerts(on_exhausted: str, is_capped: bool) -> None:
    j = judged(cost(on_exhausted=on_exhausted), 50 * FAIR, 50, is_exhausted=True)
    law = law_at(j)
    assert (law.step(ticked(j)).prices["spend"] == law.memory.cap["spend"]) is is_capped


def test_a_budget_edited_in_mid_period_is_solved_anew_and_a_hopeless_one_named() -> None:
    law = law_at(judged(SPEND))
    raised = judged(cost(usd=1.5 * FAIR * 100_000), allowance=1.5 * FAIR, is_short=True)
    ruling = law.step(ticked(raised, settled=0.0))
    assert paid(ruling.prices["spend"], 1.5 * FAIR) == pytest.approx(1.5 * FAIR, rel=0.02) and ruling.infeasible == ("spend",)


def test_the_next_writer_goes_on_where_the_last_one_stopped() -> None:
    first, second = law_at(judged(SPEND), judged(FLEET)), PidLaw(PidLaw.Options())
    for i in range(20):
        first.step(ticked(judged(SPEND, 60 * FAIR, 50), judged(FLEET, 1, 50), wall_s=5.0 * i))
    second.recall(json.loads(json.dumps(first.remember())) | {"invented_later": 1})
    tick = ticked(judged(SPEND, 60 * FAIR, 50), judged(FLEET, 1, 50), wall_s=105.0)
    assert first.step(tick) == second.step(tick)
