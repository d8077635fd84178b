"""When a spell begins and ends, and what may be spent in it."""

import json
from dataclasses import asdict

import pytest

from gateway.core.pricing.spell import LEAST_S, Spells

WELL = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}
LATE = {"strong": (0.999, 0.4), "weak": (0.999, 0.001)}
FAILING = {"strong": (0.4, 0.001), "weak": (0.999, 0.001)}
HOUR = 3600.0


def watched(*story: tuple[dict[str, tuple[float, float]], float]) -> Spells:
    spells = Spells()
    for health, hours in story:
        for _ in range(round(hours * HOUR / 10)):
            spells.watch(health, 10.0)
    return spells


def test_models_as_usual_are_no_spell() -> None:
    spells = watched((WELL, 5))
    assert spells.lasted_s == {} and spells.part("ttft", 1000.0, 1.0) == 1.0
    assert spells.allowance("ttft", 0.05, 10.0, 1000.0, 1000.0, 1.0) is None


@pytest.mark.parametrize(("health", "kind"), [(LATE, "ttft"), (FAILING, "availability")])
def test_a_spell_begins_within_a_minute_and_has_its_kind_alone(health: dict[str, tuple[float, float]], kind: str) -> None:
    assert set(watched((WELL, 5), (health, 1 / 60)).lasted_s) == {kind}


def test_it_ends_a_quarter_of_an_hour_after_its_cause() -> None:
    assert "ttft" in watched((WELL, 5), (LATE, 2), (WELL, 1 / 60)).lasted_s
    ended = watched((WELL, 5), (LATE, 2), (WELL, 0.3))
    assert ended.lasted_s == ended.before == {}


def test_models_that_are_always_so_are_no_spell() -> None:
    assert watched((LATE, 1)).lasted_s == {}
    assert watched((WELL, 5), (LATE, 60)).lasted_s == {}


def test_the_surplus_is_planned_for_four_hours_and_later_for_as_long_as_it_has_lasted() -> None:
    young, old = watched((WELL, 8), (LATE, 0.5)), watched((WELL, 8), (LATE, 8))
    to_come, rate = 50.0 * HOUR, 1.0
    assert young.part("ttft", to_come, rate) == pytest.approx(LEAST_S / (50 * HOUR))
    assert old.part("ttft", to_come, rate) == pytest.approx(8 / 50, rel=0.01)
    assert old.part("ttft", 6 * HOUR, rate) == 1.0
    # 0.05 of 100 hours' events, none bad so far, 0.001 of what is to come set aside: spread over 4 of the 50 hours.
    affordable = young.allowance("ttft", 0.05, 0.0, 50 * HOUR, to_come, rate)
    assert affordable == pytest.approx(0.001 + (0.05 * 100 - 0.001 * 50) / 4, rel=0.01)


def test_what_a_long_spell_takes_never_uses_up_the_budget() -> None:
    """A day of which all but two hours are one spell, and every allowance is used."""
    spells, bad, rate = watched((WELL, 2)), 0.0, 1.0
    total, b = 24 * HOUR, 0.03
    used = []
    for hour in range(2, 24):
        for i in range(360):
            spells.watch(LATE, 10.0)
            gone = hour * HOUR + i * 10
            affordable = spells.allowance("ttft", b, bad, gone, total - gone, rate)
            even = (b * total - bad) / (total - gone)  # When the spell has become the usual.
            bad += 10 * min(affordable if affordable is not None else even, 5 * b)
        used.append(bad / (b * total))
    assert 0.65 < used[5] < 0.9 and used[-1] <= 1.0


def test_spending_ahead_in_a_spell_lowers_what_is_left_for_it() -> None:
    spells = watched((WELL, 8), (LATE, 1))
    allowed = [spells.allowance("ttft", 0.05, bad, 1000.0, 100_000.0, 1.0) for bad in (0.0, 1000.0, 6000.0)]
    assert allowed[0] is not None and allowed[1] is not None and allowed[2] is not None
    assert allowed[0] > allowed[1] > allowed[2] and allowed[2] < 0.0


def test_another_writer_goes_on_with_it() -> None:
    first = watched((WELL, 5), (LATE, 1))
    second = Spells(**json.loads(json.dumps(asdict(first))))
    first.watch(LATE, 10.0)
    second.watch(LATE, 10.0)
    assert first == second and second.lasted_s["ttft"] > 3500
