"""`shadow_price`: which way each price moves, how far, and when it does not move at all."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from msgspec import structs

from gateway.core.budget.ledger import Judgement
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Ttft
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec
from gateway.core.pricing.card import Card, mean_usd
from gateway.core.pricing.law import Tick
from gateway.core.pricing.laws.shadow_price import CAP_COST, CAP_LOST, CAP_RATIO, ShadowPriceLaw

RNG = np.random.Generator(np.random.PCG64(7))
N = 1000
WEAK = RNG.uniform(0.3, 0.9, N)
CARD = Card(
    ("strong", "weak"),
    RNG.choice([10.0, 3.0, 1.0], N),
    np.stack([WEAK + RNG.uniform(-0.05, 0.5, N), WEAK], axis=1),
    np.stack([RNG.uniform(0.005, 0.015, N), RNG.uniform(0.0003, 0.0009, N)], axis=1),
)
STRONG_USD, WEAK_USD = (float(x) for x in CARD.usd.mean(axis=0))
FAIR = 0.35 * STRONG_USD + 0.65 * WEAK_USD
"""Dollars per request that afford about 35 % strong."""
DAY = Period("day")
WELL = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}


def cost(name: str = "spend", forecast: float | None = 100_000.0, on_exhausted: str = "cheapest", usd: float = FAIR * 100_000) -> Slo:
    return Slo.of(SloSpec(name, "cost", Cost.Options(usd, forecast), period=DAY, on_exhausted=on_exhausted))


SPEND = cost()
FLEET = Slo.of(SloSpec("availability", "availability", Availability.Options(), 0.99, period=DAY))
FIRST = Slo.of(SloSpec("first-token", "ttft", Ttft.Options(1.0), 0.95, period=DAY))
GOOD = Slo.of(SloSpec("quality", "quality", Quality.Options(), 0.8, period=DAY))


def judged(slo: Slo, fresh_bad: float = 0.0, fresh_valid: float = 0.0, allowance: float | None = None, **more: bool | float) -> Judgement:
    fair = FAIR if slo.spec.kind == "cost" else slo.bad_ratio
    j = Judgement(
        slo, 0.0, 0.0, fresh_bad, fresh_valid, fair if allowance is None else allowance, fair, 0.9, 90_000.0, 10_000.0, 0.1, DAY_S,
        is_exhausted=False, is_short=False, to_come=90_000.0, length_s=DAY_S,
    )  # fmt: skip
    return structs.replace(j, **more)  # type: ignore[arg-type]


def ticked(
    *judgements: Judgement, wall_s: float = 5.0, dt_s: float = 5.0, settled: float = 50.0, rate: float = 10.0, **more: object
) -> Tick:
    made = Tick(dt_s, wall_s, judgements, settled, rate, (CARD,), {}, WELL, 10.0)
    return structs.replace(made, **more)  # type: ignore[arg-type]


def law_at(*judgements: Judgement) -> ShadowPriceLaw:
    law = ShadowPriceLaw(ShadowPriceLaw.Options())
    law.start(ticked(*judgements, wall_s=0.0, dt_s=0.0, settled=0.0))
    return law


def paid(price: float, allowance: float = FAIR) -> float:
    return mean_usd([CARD], [("cost", price / allowance)], {})


# -- start -------------------------------------------------------------------------------------------------------------


def test_the_first_price_meets_the_budget_on_the_card() -> None:
    law = law_at(judged(SPEND))
    assert paid(law.memory.price["spend"]) == pytest.approx(FAIR, rel=0.02)
    assert 0.05 < law.memory.price["spend"] < 5.0
    assert law.memory.cap["spend"] == pytest.approx(CAP_COST * law.memory.price["spend"])


def test_a_budget_that_pays_for_everything_starts_free() -> None:
    law = law_at(judged(SPEND, allowance=2 * STRONG_USD))
    assert law.memory.price["spend"] < 1e-6


def test_ratio_prices_start_at_zero() -> None:
    law = law_at(judged(FLEET), judged(FIRST), judged(GOOD))
    assert law.memory.price == {"availability": 0.0, "first-token": 0.0, "quality": 0.0}
    assert set(law.memory.cap.values()) == {CAP_RATIO}


def test_learned_factors_count_in_the_first_price() -> None:
    law = ShadowPriceLaw(ShadowPriceLaw.Options())
    law.start(ticked(judged(SPEND), wall_s=0.0, settled=0.0, factors={"strong": 2.0}))
    assert law.memory.price["spend"] > law_at(judged(SPEND)).memory.price["spend"]
    assert mean_usd([CARD], [("cost", law.memory.price["spend"] / FAIR)], {"strong": 2.0}) == pytest.approx(FAIR, rel=0.02)


def test_two_cost_budgets_are_each_priced_as_if_alone_since_only_the_higher_is_charged() -> None:
    alone = law_at(judged(cost("shift")))
    both = law_at(judged(SPEND), judged(cost("shift")))
    assert both.memory.price["shift"] == pytest.approx(alone.memory.price["shift"])
    assert both.memory.cap["shift"] == pytest.approx(alone.memory.cap["shift"])


# -- signs -------------------------------------------------------------------------------------------------------------


def test_dollars_beyond_the_allowance_raise_the_price_and_dollars_below_lower_it() -> None:
    moves = []
    for usd in (0.5, 1.0, 2.0):
        law = law_at(judged(SPEND))
        before = law.memory.price["spend"]
        law.step(ticked(judged(SPEND, fresh_bad=usd * 50 * FAIR, fresh_valid=50)))
        moves.append(law.memory.price["spend"] - before)
    assert moves[0] < 0 < moves[2] and moves[1] == pytest.approx(0.0, abs=1e-12)
    assert moves[2] == pytest.approx(-2 * moves[0])  # Errors of +1 and -1/2.


def test_a_step_is_a_tenth_over_gain_and_dead_time() -> None:
    law = law_at(judged(SPEND))
    before, plant = law.memory.price["spend"], law.memory.plant["spend"]
    law.step(ticked(judged(SPEND, fresh_bad=2 * 50 * FAIR, fresh_valid=50)))
    # At 10/s the window is 60 s: dead time 10 + 10 + 30.
    assert law.memory.price["spend"] - before == pytest.approx(0.1 / plant / 50 * 5)


@pytest.mark.parametrize("slo", [FLEET, FIRST, GOOD])
def test_bad_events_beyond_the_allowance_raise_a_ratio_price_and_silence_lowers_it(slo: Slo) -> None:
    law, name = law_at(judged(slo)), slo.spec.name
    law.step(ticked(judged(slo, fresh_bad=200, fresh_valid=200)))
    high = law.memory.price[name]
    assert high > 0
    for i in range(3000):
        law.step(ticked(judged(slo, fresh_bad=0, fresh_valid=200), wall_s=10.0 + 5 * i))
    assert law.memory.price[name] == 0.0


def test_equal_burn_with_nothing_left_costs_more_than_with_everything_left() -> None:
    burn: dict[str, float] = {"fresh_bad": 3, "fresh_valid": 100}
    full, empty = law_at(judged(FLEET)), law_at(judged(FLEET))
    for i in range(20):
        full.step(ticked(judged(FLEET, **burn, allowance=0.05), wall_s=5.0 * i))
        empty.step(ticked(judged(FLEET, **burn, allowance=0.002), wall_s=5.0 * i))
    assert empty.memory.price["availability"] > full.memory.price["availability"]


def test_an_error_is_measured_against_at_least_five_events() -> None:
    law = law_at(judged(FLEET))
    law.step(ticked(judged(FLEET, fresh_bad=1, fresh_valid=10)))
    # (1 - 10 * 0.01) / 5, at speed 0.5 over 10 + 10 + 300/2 seconds, for 5 of them.
    assert law.memory.price["availability"] == pytest.approx(0.5 / 170 * 5 * 0.18)


def test_one_failure_in_thin_traffic_hardly_moves_anything() -> None:
    slo = Slo.of(SloSpec("availability", "availability", Availability.Options(), 0.999, period=DAY))
    law = law_at(judged(slo), judged(SPEND))
    before = law.memory.price["spend"]
    ruling = law.step(ticked(judged(slo, fresh_bad=1, fresh_valid=10), judged(SPEND, 10 * FAIR, 10), settled=10.0, rate=0.1))
    assert ruling.prices["availability"] < 0.001
    assert ruling.prices["spend"] == pytest.approx(before, rel=1e-6)


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_a_price_stays_between_zero_and_its_cap() -> None:
    law = law_at(judged(SPEND), judged(FLEET))
    for i in range(600):
        law.step(ticked(judged(SPEND, 50.0, 50), judged(FLEET, 50, 50), wall_s=5.0 * i))
    assert law.memory.price == {"spend": law.memory.cap["spend"], "availability": CAP_RATIO}
    for i in range(1200):
        law.step(ticked(judged(SPEND, 0.0, 50), judged(FLEET, 0, 50), wall_s=20_000 + 5.0 * i))
    assert law.memory.price == {"spend": 0.0, "availability": 0.0}


def test_a_suspended_process_does_not_jump() -> None:
    spent = judged(SPEND, 100 * 50 * FAIR, 50)
    slow, fast = law_at(spent), law_at(spent)
    before = slow.memory.price["spend"]
    slow.step(ticked(spent, dt_s=3600.0))
    fast.step(ticked(spent, dt_s=15.0))
    assert slow.memory.price["spend"] == pytest.approx(fast.memory.price["spend"]) and slow.memory.price["spend"] > before


def test_without_settled_requests_nothing_moves() -> None:
    law = law_at(judged(SPEND), judged(FLEET))
    law.step(ticked(judged(SPEND, 100.0, 50), judged(FLEET, 50, 50)))
    before = dict(law.memory.price)
    for i in range(100):
        law.step(ticked(judged(SPEND), judged(FLEET), wall_s=10.0 + 5 * i, settled=0.0))
    assert law.memory.price == before


@pytest.mark.parametrize(("on_exhausted", "is_capped"), [("cheapest", True), ("alert", False)])
def test_a_spent_budget_takes_its_highest_price_unless_it_only_alerts(on_exhausted: str, is_capped: bool) -> None:
    slo = cost(on_exhausted=on_exhausted)
    law = law_at(judged(slo))
    law.step(ticked(judged(slo, 50 * FAIR, 50, is_exhausted=True)))
    assert (law.memory.price["spend"] == law.memory.cap["spend"]) is is_capped


def test_a_spent_budget_buys_hardly_anything() -> None:
    law = law_at(judged(SPEND))
    law.step(ticked(judged(SPEND, 50 * FAIR, 50, is_exhausted=True)))
    assert paid(law.memory.price["spend"], 0.2 * FAIR) < 1.05 * WEAK_USD


# -- priority ----------------------------------------------------------------------------------------------------------


def conflicted(first: Judgement, second: Judgement) -> dict[str, float]:
    law = law_at(first, second)
    before = dict(law.memory.price)
    law.step(ticked(first, second))
    return {name: price - before[name] for name, price in law.memory.price.items()}


def test_a_lower_budget_waits_while_a_higher_one_burns_and_pulls_the_other_way() -> None:
    burning_cost, burning_quality = judged(SPEND, 2 * 50 * FAIR, 50), judged(GOOD, 40, 50)
    assert conflicted(burning_cost, burning_quality)["quality"] == 0.0
    assert conflicted(burning_quality, burning_cost)["spend"] == 0.0


def test_a_higher_budget_that_does_not_burn_holds_nobody() -> None:
    assert conflicted(judged(SPEND, 50 * FAIR, 50), judged(GOOD, 40, 50))["quality"] > 0.0


def test_a_lower_budget_may_always_fall() -> None:
    moves = conflicted(judged(GOOD, 40, 50), judged(SPEND, 0.5 * 50 * FAIR, 50))
    assert moves["spend"] < 0


def test_budgets_that_do_not_pull_apart_rise_together() -> None:
    # Healthy models fail equally often: availability does not care who answers.
    moves = conflicted(judged(FLEET, 40, 50), judged(SPEND, 2 * 50 * FAIR, 50))
    assert moves["availability"] > 0 and moves["spend"] > 0


# -- what cannot be met ------------------------------------------------------------------------------------------------


def test_a_budget_below_the_cheapest_model_is_named_when_it_is_seen_twice() -> None:
    short = judged(SPEND, 50 * FAIR, 50, is_short=True)
    law = law_at(short)
    said = [law.step(ticked(short, wall_s=wall_s)).infeasible for wall_s in (5.0, 239.0, 240.0, 479.0, 480.0)]
    assert said == [(), (), (), (), ("spend",)]
    fine = judged(SPEND, 50 * FAIR, 50)
    assert law.step(ticked(fine, wall_s=2700.0)).infeasible == ()


def test_a_quality_that_the_cost_budget_cannot_pay_for_is_named() -> None:
    hopeless = Slo.of(SloSpec("quality", "quality", Quality.Options(), 0.95, period=DAY))
    for slo, expected in ((hopeless, ("quality",)), (Slo.of(replace(hopeless.spec, objective=0.5)), ())):
        judgements = judged(SPEND, 50 * FAIR, 50), judged(slo, 1, 50)
        law = law_at(*judgements)
        law.step(ticked(*judgements, wall_s=900.0))
        assert law.step(ticked(*judgements, wall_s=1800.0)).infeasible == expected


# -- cold start --------------------------------------------------------------------------------------------------------


def test_without_a_forecast_the_price_follows_the_card_for_a_hundred_requests() -> None:
    slo = cost(forecast=None)
    law = law_at(judged(slo))
    solved = law.memory.price["spend"]
    law.step(ticked(judged(slo, 9.0, 50)))
    assert law.memory.price["spend"] == pytest.approx(solved)
    half = judged(slo, 9.0, 51, allowance=FAIR / 2)
    law.step(ticked(half, wall_s=10.0))
    assert paid(law.memory.price["spend"], FAIR / 2) == pytest.approx(FAIR / 2, rel=0.05)
    before = law.memory.price["spend"]
    law.step(ticked(half, wall_s=15.0))
    assert 0 < law.memory.price["spend"] - before < 0.1 * before


# -- what it goes by ---------------------------------------------------------------------------------------------------


def scored(bad: float = 0.0, valid: float = 0.0, predicted: float = 2000.0, n: float = 10_000.0, fresh: float = 10.0) -> Judgement:
    """A quality budget of 0.2 with predictions for 10,000 requests, and `fresh` predicted bad answers of 50 new ones."""
    return judged(
        GOOD, allowance=0.2, bad=bad, valid=valid, predicted=predicted, scored=n, settled=n, fresh_predicted=fresh, fresh_scored=50.0
    )


def moved(j: Judgement, price: float = 1.0) -> float:
    law = law_at(j)
    law.memory.price["quality"] = price
    return law.step(ticked(j)).prices["quality"] - price


def test_quality_goes_by_predictions_while_verdicts_do_not_contradict_them() -> None:
    assert moved(scored(bad=210, valid=1000, fresh=12.0)) == moved(scored(fresh=12.0)) > 0 > moved(scored(fresh=8.0))


def test_verdicts_that_contradict_predictions_move_the_price() -> None:
    assert moved(scored(bad=400, valid=1000)) > moved(scored()) > moved(scored(bad=50, valid=1000))


def test_quality_aims_below_its_objective_by_standard_errors_of_what_is_to_happen() -> None:
    j = scored()
    law = law_at(j)
    # Of 100,000 answers 0.2 may be bad: 2.5 standard errors are 1.6 % of the budget, and all of it is to come from 90,000.
    assert law.step(ticked(j)).allowances["quality"] == pytest.approx((0.2 * (1 - 2.5 * 0.00632) * 100_000 - 2000) / 90_000, rel=1e-3)


def test_quality_starts_where_the_cards_meet_both_budgets() -> None:
    slo = Slo.of(replace(GOOD.spec, objective=0.735))  # Bad: 0.280 free of charge, 0.256 at any price.
    law = law_at(judged(SPEND), judged(slo))
    assert 0 < law.memory.price["quality"] < CAP_LOST
    spent = mean_usd([CARD], [("cost", law.memory.price["spend"] / FAIR), ("quality", law.memory.price["quality"])], {})
    assert spent == pytest.approx(FAIR, rel=0.02)
    assert law.memory.price["spend"] > law_at(judged(SPEND)).memory.price["spend"]


def test_a_quality_that_cannot_be_had_pays_a_lower_cap() -> None:
    hopeless = Slo.of(replace(GOOD.spec, objective=0.95))
    judgements = judged(SPEND, 50 * FAIR, 50), judged(hopeless, 25, 50)
    law = law_at(*judgements)
    assert law.memory.price["quality"] == CAP_LOST
    for i in range(200):
        ruling = law.step(ticked(*judgements, wall_s=5.0 * i))
    assert ruling.infeasible == ("quality",) and ruling.prices["quality"] == CAP_LOST


LATE = {"strong": (0.999, 0.5), "weak": (0.999, 0.001)}


def test_in_a_spell_more_than_the_even_share_may_be_late_and_the_dollar_gets_no_cheaper() -> None:
    law = law_at(judged(SPEND), judged(FIRST))
    for i in range(200):
        law.step(ticked(judged(SPEND, 50 * FAIR, 50), judged(FIRST, 0, 50), wall_s=5.0 * i))
    even = law.step(ticked(judged(SPEND, 50 * FAIR, 50), judged(FIRST, 0, 50), wall_s=1000.0))
    assert even.allowances["first-token"] == FIRST.bad_ratio
    saving = judged(SPEND, 20 * FAIR, 50, to_come=600_000.0, left=600_000.0), judged(FIRST, 10, 50, to_come=600_000.0, left=600_000.0)
    spells = [law.step(ticked(*saving, wall_s=1005.0 + 5 * i, health=LATE)) for i in range(100)]
    assert spells[-1].allowances["first-token"] > 3 * FIRST.bad_ratio
    assert spells[-1].prices["spend"] == pytest.approx(spells[20].prices["spend"])
    calm = [law.step(ticked(*saving, wall_s=1505.0 + 5 * i)) for i in range(400)]
    assert calm[-1].allowances["first-token"] == FIRST.bad_ratio and calm[-1].prices["spend"] < spells[-1].prices["spend"]


def test_a_spell_that_may_last_for_the_rest_of_the_period_lets_the_dollar_get_cheaper() -> None:
    law = law_at(judged(SPEND), judged(FIRST))
    for i in range(200):
        law.step(ticked(judged(SPEND, 50 * FAIR, 50), judged(FIRST, 0, 50), wall_s=5.0 * i))
    saving = judged(SPEND, 20 * FAIR, 50), judged(FIRST, 10, 50)  # 90,000 to come at 10/s: two and a half hours.
    for i in range(100):
        ruling = law.step(ticked(*saving, wall_s=1005.0 + 5 * i, health=LATE))
    assert ruling.prices["spend"] < 0.9 * even_price()


def even_price() -> float:
    return law_at(judged(SPEND)).memory.price["spend"]


def test_a_model_that_has_become_dearer_moves_the_price_with_the_cards_and_back() -> None:
    law = law_at(judged(SPEND))
    start = law.memory.price["spend"]
    on_pace = judged(SPEND, 50 * FAIR, 50)
    dear = law.step(ticked(on_pace, factors={"strong": 6.0})).prices["spend"]
    assert mean_usd([CARD], [("cost", dear / FAIR)], {"strong": 6.0}) == pytest.approx(FAIR, rel=0.02)
    assert dear < 0.9 * start
    assert law.step(ticked(on_pace, factors={"strong": 6.3})).prices["spend"] == pytest.approx(dear)  # Scatter.
    assert law.step(ticked(on_pace, factors={"strong": 1.0})).prices["spend"] == pytest.approx(start, rel=0.01)


# -- silence -----------------------------------------------------------------------------------------------------------


def test_after_a_quarter_of_an_hour_of_silence_prices_go_to_what_the_cards_say() -> None:
    law = law_at(judged(SPEND), judged(FLEET))
    solved = law.memory.price["spend"]
    for i in range(100):
        law.step(ticked(judged(SPEND, 100 * FAIR, 50), judged(FLEET, 20, 50), wall_s=5.0 * i))
    high = dict(law.memory.price)
    assert high["spend"] > 1.2 * solved and high["availability"] > 0.5
    for i in range(179):
        assert law.step(ticked(judged(SPEND), judged(FLEET), wall_s=500.0 + 5 * i, settled=0.0)).prices == high
    for i in range(1, 1081):
        law.step(ticked(judged(SPEND), judged(FLEET), wall_s=1400.0 + 5 * i, settled=0.0))
    assert law.memory.price["spend"] == pytest.approx(solved, rel=0.03)
    assert law.memory.price["availability"] < 0.03 * high["availability"]


# -- memory ------------------------------------------------------------------------------------------------------------


def test_the_next_writer_goes_on_where_the_last_one_stopped() -> None:
    first = law_at(judged(SPEND), judged(FLEET))
    for i in range(20):
        first.step(ticked(judged(SPEND, 60 * FAIR, 50), judged(FLEET, 1, 50), wall_s=5.0 * i))
    second = ShadowPriceLaw(ShadowPriceLaw.Options())
    second.recall(json.loads(json.dumps(first.remember())))
    assert second.remember() == first.remember()
    tick = ticked(judged(SPEND, 60 * FAIR, 50), judged(FLEET, 1, 50), wall_s=105.0)
    assert first.step(tick) == second.step(tick)


def test_memory_of_a_later_build_with_fields_unknown_here_is_read() -> None:
    law = ShadowPriceLaw(ShadowPriceLaw.Options())
    law.recall({**law_at(judged(SPEND)).remember(), "invented_later": 3})
    assert "spend" in law.memory.price


def test_an_slo_that_is_gone_is_not_priced_and_a_new_one_is() -> None:
    law = law_at(judged(SPEND))
    ruling = law.step(ticked(judged(FLEET, 1, 50), judged(FIRST, 1, 50)))
    assert set(ruling.prices) == {"availability", "first-token"}


@pytest.mark.parametrize("back", [False, True])
def test_a_name_that_an_edit_gave_to_another_kind_starts_anew(back: bool) -> None:
    ratio = Slo.of(SloSpec("spend", "availability", Availability.Options(), 0.99, period=DAY))
    before, after = (ratio, SPEND) if back else (SPEND, ratio)
    law = law_at(judged(before))
    law.step(ticked(judged(after, 0.0, 50)))
    assert law.memory.cap["spend"] == pytest.approx(law_at(judged(after)).memory.cap["spend"])


def test_a_budget_raised_in_mid_period_makes_the_same_dollar_cheaper() -> None:
    law = law_at(judged(SPEND))
    spent = law.step(ticked(judged(SPEND, 50 * FAIR, 50))).prices["spend"] / FAIR
    raised = law.step(ticked(judged(SPEND, 50 * FAIR, 50, allowance=2 * FAIR), wall_s=10.0)).prices["spend"] / (2 * FAIR)
    assert raised < 0.55 * spent


def test_a_budget_edited_in_mid_period_is_solved_anew() -> None:
    law = law_at(judged(SPEND))
    for i in range(50):
        law.step(ticked(judged(SPEND, 60 * FAIR, 50), wall_s=5.0 * i))
    for usd in (1.5, 0.6):
        edited = judged(cost(usd=usd * FAIR * 100_000), 0.0, 0.0, allowance=usd * FAIR)
        price = law.step(ticked(edited, wall_s=300.0, settled=0.0)).prices["spend"]
        assert paid(price, usd * FAIR) == pytest.approx(usd * FAIR, rel=0.02)
        assert law.memory.cap["spend"] == pytest.approx(CAP_COST * price)


def test_a_rising_price_spends_less_on_the_card() -> None:
    prices = np.linspace(0.0, 4.0, 40)
    spends = [paid(float(p)) for p in prices]
    assert all(b <= a + 1e-9 for a, b in pairwise(spends))
