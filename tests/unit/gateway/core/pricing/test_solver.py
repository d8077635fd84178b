"""Prices that the cards say."""

import numpy as np
import pytest

from gateway.core.budget.ledger import Judgement
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec
from gateway.core.pricing.card import Card, mean_usd
from gateway.core.pricing.law import Tick
from gateway.core.pricing.solver import LEAST_GAIN, LEAST_QUALITY_GAIN, Solver

RNG = np.random.Generator(np.random.PCG64(9))
N = 1500
WEAK = RNG.uniform(0.3, 0.9, N)
CARD = Card(
    ("strong", "weak"),
    RNG.choice([10.0, 3.0, 1.0], N),
    np.stack([WEAK + RNG.uniform(0.0, 0.4, N), WEAK], axis=1),
    np.stack([RNG.uniform(0.005, 0.015, N), RNG.uniform(0.0003, 0.0009, N)], axis=1),
)
FAIR = float(0.35 * CARD.mean_usd[0] + 0.65 * CARD.mean_usd[1])
DAY = Period("day")
SPEND = Slo.of(SloSpec("spend", "cost", Cost.Options(FAIR * 1e5, 1e5), period=DAY))
SHIFT = Slo.of(SloSpec("shift", "cost", Cost.Options(FAIR * 1e5, 1e5), period=DAY))
GOOD = Slo.of(SloSpec("quality", "quality", Quality.Options(), 0.8, period=DAY))


def judged(slo: Slo, allowance: float) -> Judgement:
    return Judgement(slo, 0.0, 0.0, 0.0, 0.0, allowance, allowance, 0.9, 9e4, 1e4, 0.1, DAY_S, is_exhausted=False, is_short=False)


def solver(*judgements: Judgement, **prices: float) -> Solver:
    return Solver(Tick(5.0, 5.0, judgements, 50.0, 10.0, (CARD,), {}, {}, 10.0), prices)


def paid(spend: float, quality: float = 0.0) -> float:
    return mean_usd([CARD], [("cost", spend / FAIR), ("quality", quality)], {})


def test_the_solved_price_spends_the_allowance() -> None:
    cost = judged(SPEND, FAIR)
    assert paid(solver(cost).cost(cost)) == pytest.approx(FAIR, rel=0.01)


def test_an_allowance_for_everything_costs_nothing() -> None:
    cost = judged(SPEND, 2 * CARD.mean_usd[0])
    assert solver(cost).cost(cost) < 1e-6


def test_a_quality_price_makes_the_dollar_dearer() -> None:
    cost, good = judged(SPEND, FAIR), judged(GOOD, 0.2)
    alone, beside = solver(cost, good, quality=0.0), solver(cost, good, quality=2.0)
    assert beside.cost(cost) > alone.cost(cost)
    assert paid(beside.cost(cost), 2.0) == pytest.approx(FAIR, rel=0.01)


def test_another_cost_budget_is_left_out() -> None:
    cost, shift = judged(SPEND, FAIR), judged(SHIFT, FAIR)
    assert solver(cost, shift, shift=9.0).cost(cost) == pytest.approx(solver(cost).cost(cost))


def test_both_budgets_are_met_together_where_that_is_possible() -> None:
    cost = judged(SPEND, FAIR)
    made = solver(cost, judged(GOOD, 0.3))
    free, best = (made.bad_at(made.tick.judgements[1], cost, price)[0] for price in (0.0, 5.0))
    good = judged(GOOD, (free + best) / 2)
    mu, spend = solver(cost, good).both(good, cost, 5.0, 2.0, 1.05)
    assert 0 < mu < 5 and paid(spend, mu) == pytest.approx(FAIR, rel=0.01)
    assert solver(cost, good).bad_at(good, cost, mu)[0] == pytest.approx(good.allowance, rel=0.005)


def test_a_quality_that_is_had_anyway_is_free() -> None:
    cost, good = judged(SPEND, FAIR), judged(GOOD, 0.9)
    assert solver(cost, good).both(good, cost, 5.0, 2.0, 1.05) == (0.0, pytest.approx(solver(cost).cost(cost)))


def test_a_quality_that_cannot_be_had_pays_the_price_of_the_lost_and_cost_is_met() -> None:
    cost, good = judged(SPEND, FAIR), judged(GOOD, 0.05)
    mu, spend = solver(cost, good).both(good, cost, 5.0, 2.0, 1.05)
    assert mu == 2.0 and paid(spend, mu) == pytest.approx(FAIR, rel=0.01)


def test_the_plant_gain_is_how_burn_falls_with_the_price() -> None:
    cost = judged(SPEND, FAIR)
    price = solver(cost).cost(cost)
    gain = solver(cost, spend=price).gain(cost)
    assert gain == pytest.approx((paid(0.8 * price) - paid(1.2 * price)) / (0.4 * price * FAIR)) and gain > LEAST_GAIN
    assert solver(cost, spend=40.0).gain(cost) == LEAST_GAIN  # Nothing is left to answer.


def test_the_gain_of_a_quality_price_is_how_bad_answers_fall_with_it() -> None:
    cost, good = judged(SPEND, FAIR), judged(GOOD, 0.2)
    price = solver(cost).cost(cost)
    assert solver(cost, good, spend=price, quality=0.5).quality_gain(good) > LEAST_QUALITY_GAIN
    assert solver(cost, good, spend=0.0, quality=5.0).quality_gain(good) == LEAST_QUALITY_GAIN
