"""`static`: the same threshold whatever happens."""

import pytest

from gateway.core.pricing.law import Ruling, Tick
from gateway.core.pricing.laws.static import StaticLaw


def tick(wall_s: float, rate: float) -> Tick:
    return Tick(5.0, wall_s, (), 10.0, rate, (), {}, {}, 10.0)


@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.0])
def test_the_threshold_is_held_whatever_the_traffic(threshold: float) -> None:
    law = StaticLaw(StaticLaw.Options(threshold))
    law.start(tick(0.0, 0.0))
    assert law.step(tick(5.0, 1.0)) == law.step(tick(10.0, 9.0)) == Ruling({}, fixed_threshold=threshold)


def test_there_is_nothing_to_hand_over() -> None:
    law = StaticLaw(StaticLaw.Options(0.4))
    law.recall({"price": {"spend": 3.0}})
    assert law.remember() == {}
    assert law.step(tick(5.0, 1.0)).fixed_threshold == 0.4
