"""`step`: which tiers move the threshold, which way, how far and for how long."""

import json

import pytest
from msgspec import structs

from gateway.core.budget.ledger import Judgement
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec
from gateway.core.pricing.law import Tick
from gateway.core.pricing.laws.step import StepLaw
from tests.unit.gateway.core.pricing.laws.test_shadow_price import CARD

USD = 86.4
SPEND = Slo.of(SloSpec("spend", "cost", Cost.Options(USD, 86_400.0), period=Period("day")))
FLEET = Slo.of(SloSpec("availability", "availability", Availability.Options(), 0.99, window_s=28 * DAY_S))
WELL = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}
STRONG_FAILS = {"strong": (0.5, 0.001), "weak": (0.999, 0.001)}
WEAK_FAILS = {"strong": (0.999, 0.001), "weak": (0.5, 0.001)}


def judged(slo: Slo, bad: float, valid: float, length_s: float = DAY_S, is_short: bool = False) -> Judgement:
    return Judgement(
        slo, 0.0, 0.0, bad, valid, 0.001, 0.001, 0.9, 9e4, 1e4, 0.1, DAY_S, is_exhausted=False, is_short=is_short, length_s=length_s
    )


class Clock:
    """One law, ticked every 5 s."""

    def __init__(self, **options: float) -> None:
        self.law, self.wall_s = StepLaw(StepLaw.Options(**{"threshold": 0.4, **options})), 0.0

    def run(self, for_s: float, *judgements: Judgement, health: dict[str, tuple[float, float]] = WELL) -> float:
        threshold = None
        for _ in range(int(for_s / 5)):
            self.wall_s += 5.0
            tick = Tick(5.0, self.wall_s, judgements, 50.0, 10.0, (CARD,), {}, health, 10.0)
            threshold = self.law.step(tick).fixed_threshold
        assert threshold is not None
        return threshold


def spending(pace: float) -> Judgement:
    return judged(SPEND, pace * USD / DAY_S * 5, 50)


def failing(share: float) -> Judgement:
    return judged(FLEET, share * 50, 50, 28 * DAY_S)


@pytest.mark.parametrize(("pace", "threshold"), [(1.0, 0.4), (1.2, 0.5), (1.7, 0.6), (2.5, 0.7), (9.0, 0.7)])
def test_each_tier_of_dollars_is_a_step(pace: float, threshold: float) -> None:
    assert Clock().run(7200, spending(pace)) == pytest.approx(threshold)


def test_a_burst_that_the_long_window_does_not_confirm_moves_nothing() -> None:
    clock = Clock()
    clock.run(7200, spending(0.8))
    assert clock.run(120, spending(3.0)) == 0.4
    assert clock.run(3600, spending(3.0)) == pytest.approx(0.7)


def test_a_step_is_held_for_five_minutes_and_taken_back_when_the_short_window_is_calm() -> None:
    clock = Clock()
    clock.run(7200, spending(1.2))
    assert clock.run(20, spending(0.0)) == pytest.approx(0.5)
    assert clock.run(600, spending(0.0)) == 0.4
    held = Clock()
    first = next(i for i in range(1000) if held.run(5, spending(9.0)) > 0.4)
    assert all(held.run(5, spending(0.0)) > 0.4 for _ in range(59)) and first < 10


@pytest.mark.parametrize(("health", "threshold"), [(STRONG_FAILS, 0.6), (WEAK_FAILS, 0.2), (WELL, 0.4)])
def test_failures_move_it_away_from_the_model_that_fails(health: dict[str, tuple[float, float]], threshold: float) -> None:
    assert Clock().run(7200, failing(0.3), health=health) == pytest.approx(threshold)


def test_few_failures_move_nothing() -> None:
    assert Clock().run(3600, judged(FLEET, 0.002, 0.005, 28 * DAY_S), health=STRONG_FAILS) == 0.4


def test_steps_of_several_budgets_add_up_within_bounds() -> None:
    assert Clock().run(7200, spending(1.7), failing(0.3), health=WEAK_FAILS) == pytest.approx(0.4)
    assert Clock(step=0.5).run(7200, spending(9.0)) == 1.0
    assert Clock(step=0.5).run(7200, failing(0.3), health=WEAK_FAILS) == 0.0


def test_a_budget_below_the_cheapest_model_is_named() -> None:
    law = StepLaw(StepLaw.Options(0.4))
    tick = Tick(5.0, 5.0, [judged(SPEND, 0.0, 50, is_short=True)], 50.0, 10.0, (CARD,), {}, WELL, 10.0)
    assert law.step(tick).infeasible == ("spend",)


def test_the_next_writer_goes_on_where_the_last_one_stopped() -> None:
    first, second = Clock(), Clock()
    first.run(7200, spending(1.2))
    second.law.recall(json.loads(json.dumps(first.law.remember())) | {"invented_later": 1})
    tick = Tick(5.0, 7205.0, [spending(1.2)], 50.0, 10.0, (CARD,), {}, WELL, 10.0)
    assert first.law.step(tick) == second.law.step(tick) and second.law.memory.threshold == pytest.approx(0.5)
    second.law.step(structs.replace(tick, judgements=[failing(0.0)]))
    assert set(second.law.memory.sums) == {"availability"}
