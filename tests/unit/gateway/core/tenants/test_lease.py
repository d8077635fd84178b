"""One limit in one process: what is at hand, what is asked for, and the share of it while the store is away."""

import pytest

from gateway.core.tenants.lease import DAY_S, DEMAND_S, UNITS_MIN, Lease
from gateway.core.tenants.vault import LEASE_S
from gateway.domain.limit import Ask, Granted, Limit, LimitKind

RPM = Limit("acme", "tenant/requests", LimitKind.REQUESTS, 600, 10.0, "600 requests per minute")
USD = Limit("acme", "tenant/usd", LimitKind.USD, 1000, 0.0, "little per day (UTC)")


def heard(lease: Lease, granted: int, level: float = 500.0, holders: int = 1, at_s: float = 0.0, day: int = 0, held: int = 0) -> Ask:
    ask = lease.ask(at_s)
    lease.hear(Granted(granted, held, level, holders, "v"), ask, at_s, at_s, day)
    return ask


def test_units_are_at_hand_until_the_lease_ends_and_then_go_back() -> None:
    lease = Lease(RPM, 0.0)
    assert not lease.has(1, 0.0)
    heard(lease, 5)
    lease.take(2, 1.0, 0)
    assert lease.has(3, LEASE_S - 0.1) and not lease.has(4, 1.0) and not lease.has(3, LEASE_S)
    ask = lease.ask(LEASE_S, need=2, least=2)
    assert (ask.heard, ask.used, ask.need) == (2, 2, 2) and lease.balance == 0


def test_what_takes_nothing_needs_a_unit_all_the_same() -> None:
    lease = Lease(USD, 0.0)
    assert not lease.has(0, 0.0)
    heard(lease, 1)
    assert lease.has(0, 0.0)


def test_demand_of_the_last_seconds_is_wanted_at_hand_and_fades() -> None:
    lease = Lease(RPM, 0.0)
    heard(lease, 400)
    for i in range(400):
        lease.take(1, i / 20, 0)
    want = lease.ask(20.0, is_wanting=True).want
    assert want == pytest.approx(DEMAND_S * 20 * 0.865, rel=0.05)
    assert lease.ask(25.0, is_wanting=True).want < want
    assert lease.ask(20.0 + 2 * DEMAND_S + 0.1, is_wanting=True).want == 0


def test_more_than_twice_the_demand_is_given_back_and_all_when_nothing_is_asked_any_more() -> None:
    lease = Lease(RPM, 0.0)
    heard(lease, 300)
    for i in range(100):
        lease.take(1, i / 10, 0)
    ask = lease.ask(10.0)
    assert ask.heard - ask.used == lease.balance == pytest.approx(DEMAND_S * 10 * 0.63, abs=2)
    assert lease.ask(10.0 + 2 * DEMAND_S + 0.1).heard == 100 and lease.balance == 0


def test_a_small_limit_among_many_is_one_counter_and_is_never_refilled_ahead() -> None:
    lease = Lease(RPM, 0.0)
    for holders, is_counter in ((600 // UNITS_MIN, False), (600 // UNITS_MIN + 1, True)):
        heard(lease, lease.used + 1, holders=holders)
        lease.take(1, 0.0, 0)
        heard(lease, lease.used + 1, holders=holders)
        lease.take(1, 0.0, 0)
        assert lease.is_counter is is_counter and lease.is_low is not is_counter


def test_where_the_last_call_left_nothing_at_hand_no_further_one_is_due() -> None:
    lease = Lease(RPM, 0.0)
    lease.take(1, 0.0, 0)
    heard(lease, 1)
    assert not lease.is_counter and not lease.is_low
    lease.settle(1)
    assert lease.is_low  # a debt is told


def test_what_is_left_grows_with_time_and_comes_back_at_midnight() -> None:
    lease = Lease(RPM, 0.0)
    assert lease.left(0.0, 0) == 600
    heard(lease, 1, level=0.0)
    assert lease.left(2.0, 0) == 20.0 and lease.left(1000.0, 0) == 600
    dollars = Lease(USD, 0.0)
    heard(dollars, 1, level=3.0, day=7)
    assert dollars.left(50_000.0, 7) == 3.0 and dollars.left(50_000.0, 8) == 1000
    assert dollars.wait_s(10, 0.0, 7 * DAY_S + 1) == DAY_S - 1


def test_a_store_that_lost_everything_is_told_what_was_used_today_and_is_held() -> None:
    lease = Lease(USD, 0.0)
    heard(lease, 100)
    lease.take(60, 0.0, 7)
    lease.take(10, 0.0, 8)
    lease.settle(-4)
    assert lease.ask(0.0).carried == 10 - 4 + lease.balance
    bucket = Lease(RPM, 0.0)
    heard(bucket, 100)
    bucket.take(60, 0.0, 7)
    assert bucket.ask(0.0).carried == bucket.balance > 0


def test_a_share_is_what_was_left_and_runs_in_divided_by_the_replicas_and_what_it_missed_is_told_as_use() -> None:
    lease = Lease(RPM, 0.0)
    lease.take(1, 0.0, 0)
    heard(lease, 1, level=300.0, holders=4)
    share = lease.open_share(0.0, 0, 9)
    assert (share.level, share.cap, share.per_s) == (75.0, 150.0, 2.5)
    assert lease.share_has(75) and not lease.share_has(76)
    lease.take_share(70, 0.0)
    assert lease.open_share(4.0, 0, 9).level == 15.0
    used = lease.used
    heard(lease, 1, at_s=4.0)
    assert lease.share is None and lease.used == used + 70 and lease.balance == -70 and lease.is_low
    assert lease.open_share(5.0, 0, 9).level > 0


def test_what_others_have_probably_used_since_the_store_was_heard_is_in_nobodys_share() -> None:
    lease = Lease(RPM, 0.0)
    heard(lease, 100)
    for i in range(100):
        lease.take(1, i / 10, 0)
    heard(lease, 100, level=300.0, holders=4, at_s=10.0)
    rate = lease.rate(15.0)
    assert 3 < rate < 6.4
    assert lease.open_share(15.0, 0, 1).level == pytest.approx((300 + 5 * 10.0 - 3 * rate * 5.0) / 4)


def test_a_share_of_a_limit_never_heard_of_is_its_part_of_the_whole() -> None:
    lease = Lease(RPM, 0.0)
    assert lease.open_share(0.0, 0, 4).level == 150.0
    tiny = Lease(Limit("acme", "x", LimitKind.REQUESTS, 10, 1 / 6, "x"), 0.0)
    assert tiny.open_share(0.0, 0, 16).level == 0.625 and not tiny.share_has(1)
    tiny.open_share(36.1, 0, 16)
    assert tiny.share_has(1)
    none = Lease(Limit("acme", "x", LimitKind.REQUESTS, 0, 0.0, "x"), 0.0)
    none.open_share(100.0, 0, 1)
    assert not none.share_has(1)


def test_after_a_moment_all_that_was_used_of_a_share_is_told_and_after_long_only_the_first_seconds_and_what_has_not_run_in() -> None:
    for away_s, told in ((2.0, 30), (4000.0, 13)):
        lease = Lease(RPM, 0.0)
        assert lease.open_share(0.0, 0, 4).level == 150.0
        lease.take_share(30, 0.0)
        used = lease.used
        lease.open_share(away_s, 0, 4)
        heard(lease, 0, level=600.0, at_s=away_s)
        assert lease.used - used == told


def test_dollars_of_a_share_are_given_out_once() -> None:
    lease = Lease(USD, 0.0)
    heard(lease, 0, level=400.0, holders=2)
    assert lease.open_share(0.0, 0, 1).level == 200.0
    lease.take_share(200, 0.0)
    assert lease.open_share(80_000.0, 0, 1).level == 0.0


def test_who_leaves_gives_everything_back() -> None:
    lease = Lease(RPM, 0.0)
    heard(lease, 9)
    lease.take(2, 0.0, 0)
    ask = lease.ask(0.1, is_leaving=True)
    assert ask.is_leaving and ask.heard == ask.used == 2 and lease.balance == 0


def test_the_store_is_owed_a_word_while_it_takes_something_to_be_at_hand_or_something_is() -> None:
    lease = Lease(RPM, 0.0)
    assert not lease.is_open
    heard(lease, 3, held=3)
    lease.take(3, 0.0, 0)
    assert lease.is_open
    heard(lease, 3)
    assert not lease.is_open
    lease.settle(-1)
    assert lease.is_open
