"""Hard limits over many replicas on virtual time: never over-granted, hardly ever falsely refused, hardly anything stranded.

The judge is a bucket that is told every request that was served, at its moment (`fleet.Truth`): it may never be below zero, and a
refusal while it had enough is a false one. The long runs are `soak`; the short ones stand in every test run.
"""

import pytest

from gateway.core.tenants.lease import DEMAND_S
from gateway.domain.event import NANO
from gateway.domain.limit import Ask, Limit, LimitKind
from tests.sim.fleet import Fleet

MATRIX = [(rpm, workers) for rpm in (10, 60, 600) for workers in (1, 4, 16, 32)]


def requests(rpm: int) -> Limit:
    return Limit("acme", "tenant/requests", LimitKind.REQUESTS, rpm, rpm / 60, f"{rpm} requests per minute")


def tokens(tpm: int) -> Limit:
    return Limit("acme", "tenant/tokens", LimitKind.TOKENS, tpm, tpm / 60, f"{tpm} tokens per minute")


def dollars(usd: float) -> Limit:
    return Limit("acme", "tenant/usd", LimitKind.USD, round(usd * NANO), 0.0, f"{usd:g} dollars per day (UTC)")


def holds(fleet: Fleet, is_saturated: bool = False) -> None:
    """Granted and settled within the limit at every call and in truth, and at most one request in a thousand refused falsely."""
    tally = fleet.tally
    assert tally.worst <= 1e-6, "level and units at hand exceed the limit"
    assert tally.over <= 1e-6, "more was used than the limit lets run in"
    assert tally.ideal - tally.served <= 0.001 * tally.asked, tally
    assert is_saturated or tally.falsely <= 0.001 * tally.asked, tally


def stranded(fleet: Fleet) -> float:
    """Return the units that no request used and that nobody can be given, once every replica of a saturated limit has ended.

    A bucket that was nearly full before may lack a little of its burst, once: what was used and not yet told took no inflow in, at
    most `DEMAND_S` worth.
    """
    fleet.drain()
    assert fleet.vault.out == 0, "everything that was not used went back"
    looked = fleet.vault.answer(Ask(fleet.limit, 1, 0, 0, 0, "", 0, 0, 0, 1), "judge", fleet.now_s, 20_000)
    return fleet.truth.fill(fleet.now_s) - looked.level


def play(limit: Limit, workers: int, seed: int, load: float, seconds: float, units: int = 1) -> Fleet:
    fleet = Fleet(limit, workers, seed)
    fleet.run(load * limit.per_s / units, seconds, units)
    return fleet


@pytest.mark.parametrize(("rpm", "workers"), MATRIX)
def test_at_80_percent_load_limits_hold_and_nobody_is_refused_falsely(rpm: int, workers: int) -> None:
    fleet = play(requests(rpm), workers, seed=1, load=0.8, seconds=300 if rpm == 600 else 1200)
    holds(fleet)
    assert fleet.tally.served == fleet.tally.asked - (fleet.tally.refused if rpm == 10 else 0)
    fleet.drain()
    assert fleet.vault.out == 0, "everything that was not used went back"


@pytest.mark.parametrize("rpm", [10, 60, 600, 6000])
def test_a_hundred_replicas_hold_a_limit_under_and_over_its_load(rpm: int) -> None:
    for load in (0.8, 2.5):
        fleet = play(requests(rpm), 100, seed=3, load=load, seconds=12_000 / rpm + 60)
        holds(fleet, is_saturated=load > 1)
    assert stranded(fleet) <= 0.005 * rpm


@pytest.mark.parametrize("workers", [4, 32])
def test_tokens_and_dollars_hold_too_and_a_days_dollars_are_spent_to_the_last(workers: int) -> None:
    holds(play(tokens(1_000_000), workers, seed=5, load=0.8, seconds=120, units=1500))
    fleet = Fleet(dollars(8.0), workers, seed=5)
    fleet.run(20, 150, units=4_000_000)
    assert fleet.tally.worst <= 0 and fleet.tally.over <= 0
    assert fleet.tally.served == 2000 and fleet.tally.asked > 2500, "not one of two thousand is stranded"


def test_lost_answers_and_killed_replicas_never_lead_to_more_than_the_limit_but_for_what_shares_gave_meanwhile() -> None:
    fleet = Fleet(requests(600), 8, seed=7, lost=0.02, die_every_s=11.0)
    fleet.run(8.0, 600)
    assert fleet.tally.worst <= 600 / 8 + 1e-6
    assert fleet.tally.over <= 1e-6 and fleet.tally.falsely <= 0.002 * fleet.tally.asked


def test_what_was_used_while_answers_were_late_is_a_debt_that_is_paid() -> None:
    for workers in (4, 32):
        fleet = Fleet(requests(600), workers, seed=3, lost=0.1)
        fleet.run(25.0, 120)
        fleet.lost = 0.0
        fleet.drain()
        fleet.drain()
        used = sum(lease.used for replica in fleet.replicas for lease in replica.leases)
        assert 0 <= used - fleet.tally.served <= 0.005 * fleet.tally.served, "all of it is told, and hardly more"
        assert fleet.tally.ideal - 1 - workers / 4 <= fleet.tally.served <= fleet.tally.ideal + workers / 4


def test_while_the_store_is_away_for_all_the_shares_hold_the_limit_and_what_they_used_is_told_afterwards() -> None:
    fleet = Fleet(requests(600), 8, seed=9)
    fleet.run(9.0, 120, even=True)
    fleet.is_away = True
    fleet.run(9.0, 600, even=True)
    away = fleet.tally
    assert away.over <= 8 + 1e-6, "at most one unit per replica"
    assert away.falsely <= 0.05 * away.asked, "a share is no refusal, even where replicas are not asked equally often"
    fleet.is_away = False
    fleet.run(9.0, 5, even=True)
    assert all(not r.limits.is_away for r in fleet.replicas)
    served, over = fleet.tally.served, fleet.tally.over
    fleet.run(15.0, 300, even=True)
    assert fleet.tally.over == over and fleet.tally.served - served >= 0.97 * 300 * 10


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize(("rpm", "workers"), [*MATRIX, (10, 100), (60, 100), (600, 100), (6000, 100)])
def test_the_whole_matrix_for_an_hour(rpm: int, workers: int, seed: int) -> None:
    fleet = play(requests(rpm), workers, seed, load=0.8, seconds=3600)
    holds(fleet)
    idle = fleet.at_hand(fleet.now_s)
    print(
        f"rpm {rpm} x {workers}, seed {seed}, load 0.8: {fleet.tally}, at hand {idle}: {idle / fleet.tally.served:.4%} of what was granted"
    )
    assert idle <= 0.005 * fleet.tally.served
    fleet.run(2.5 * fleet.limit.per_s, 300)
    tally, idle = fleet.tally, stranded(fleet)
    print(f"rpm {rpm} x {workers}, seed {seed}, then load 2.5: {tally}, stranded {idle:.2f}: {idle / tally.served:.4%} of what was granted")
    assert tally.worst <= 1e-6 and tally.over <= 1e-6
    assert tally.ideal - tally.served <= DEMAND_S * fleet.limit.per_s
    assert idle <= 0.005 * tally.served
