"""What every law keeps to."""

import json
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from gateway.core.budget.counts import Counts
from gateway.core.budget.ledger import Ledger
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import Period, SloSpec, build
from gateway.core.pricing.card import Card
from gateway.core.pricing.law import Law, Tick
from gateway.core.pricing.laws.registry import LAWS

SLOS = build(
    [
        SloSpec("availability", "availability", Availability.Options(), 0.99, period=Period("day")),
        SloSpec("spend", "cost", Cost.Options(10.0, 10_000.0), period=Period("day")),
    ]
)
CARD = Card(("strong", "weak"), np.array([1.0, 3.0] * 50), np.tile([0.9, 0.6], (100, 1)), np.tile([0.003, 0.0003], (100, 1)))


def built(kind: str) -> Law:
    law: Any = LAWS[kind]
    made: Law = law(law.Options(0.4) if kind in ("static", "step") else law.Options())
    return made


def ticks(n: int) -> list[Tick]:
    """Return a day's beginning, with a failure now and then."""
    ledger, counts, made = Ledger(SLOS), Counts(), []
    for i in range(n):
        fresh = {} if i == 0 else {"n": 20, "req": 20, "usd": 40_000_000, SLOS[0].valid_field: 20, SLOS[0].bad_field: int(i % 7 == 0)}
        counts.add(fresh.items(), 5.0 * i)
        ledger.take(fresh, counts, 5.0 * i, is_first=i == 0)
        health = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}
        made.append(Tick(5.0, 5.0 * i, ledger.judge(5.0 * i, 4.0, 0.0003), fresh.get("n", 0), 4.0, (CARD,), {}, health, 10.0))
    return made


@pytest.mark.parametrize("kind", LAWS)
def test_a_law_rules_from_its_first_step_with_prices_or_a_threshold(kind: str) -> None:
    law, made = built(kind), ticks(30)
    law.start(made[0])
    for tick in made:
        ruling = law.step(tick)
        assert (ruling.fixed_threshold is not None) or set(ruling.prices) == {"availability", "spend"}
        assert all(0.0 <= price < float("inf") for price in ruling.prices.values())


@pytest.mark.parametrize("kind", LAWS)
def test_memory_goes_through_json_and_the_next_writer_rules_the_same(kind: str) -> None:
    first, second, made = built(kind), built(kind), ticks(40)
    first.start(made[0])
    for tick in made[:30]:
        first.step(tick)
    second.recall(json.loads(json.dumps(first.remember())))
    assert [first.step(t) for t in made[30:]] == [second.step(t) for t in made[30:]]


@pytest.mark.parametrize("kind", LAWS)
def test_a_law_without_budgets_and_cards_rules_all_the_same(kind: str) -> None:
    law = built(kind)
    tick = structs.replace(ticks(2)[1], judgements=(), cards=())
    law.start(tick)
    assert law.step(tick).prices == {}
