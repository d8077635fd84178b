"""The desk: one call per tenant at a time, nobody waits longer than he may, and what the script is told and says."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.core.tenants.lease import Lease
from gateway.core.tenants.limits import LACKING, Draw, LimitState
from gateway.core.tenants.vault import Vault
from gateway.domain.decision import Shed
from gateway.domain.limit import Ask, Granted, Limit, LimitKind
from gateway.edges.clock import SystemClock
from gateway.edges.store.leases import AWAY_S, GRANT_S, LeaseDesk, answers, by_tenant, call
from gateway.ports import StoreAway

CLOCK = SystemClock()
RPM = Limit("acme", "tenant/requests", LimitKind.REQUESTS, 600, 10.0, "600 requests per minute")
OTHERS = Limit("other", "tenant/requests", LimitKind.REQUESTS, 600, 10.0, "600 requests per minute")


class Store:
    """A store that can be held up, and be away."""

    def __init__(self) -> None:
        self.vaults: dict[str, Vault] = {}
        self.asked: list[list[Ask]] = []
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def grant(self, asks: Sequence[Ask]) -> Sequence[Granted]:
        self.asked.append(list(asks))
        await self.gate.wait()
        if self.is_away:
            raise StoreAway("away")
        return [self.vaults.setdefault(a.limit.tenant, Vault("v")).answer(a, "me", CLOCK.now_s(), 0) for a in asks]


class Replica:
    def __init__(self) -> None:
        self.store, self.limits = Store(), LimitState()
        self.desk = LeaseDesk(CLOCK, self.store, self.limits)

    def draw(self, limit: Limit = RPM) -> Draw:
        draw = self.limits.draw([limit], 100, 0.0, CLOCK.now_s())
        assert self.limits.take(draw, CLOCK.now_s(), CLOCK.wall_s()) is LACKING
        return draw


async def test_requests_of_one_tenant_that_come_during_a_call_share_the_next_one() -> None:
    one = Replica()
    one.store.gate.clear()
    waiting = [asyncio.ensure_future(one.desk.fetch(one.draw())) for _ in range(4)]
    await asyncio.sleep(0)
    assert [a.need for asks in one.store.asked for a in asks] == [1]
    one.store.gate.set()
    assert await asyncio.gather(*waiting) == [None] * 4
    assert [a.need for asks in one.store.asked for a in asks] == [1, 3]
    (lease,) = one.limits._leases.values()
    assert lease.used == 4 and lease.pending == 0


async def test_a_tenant_does_not_wait_for_another_ones_call() -> None:
    one = Replica()
    one.store.gate.clear()
    first = asyncio.ensure_future(one.desk.fetch(one.draw()))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(one.desk.fetch(one.draw(OTHERS)))
    await asyncio.sleep(0)
    assert [asks[0].limit.tenant for asks in one.store.asked] == ["acme", "other"]
    one.store.gate.set()
    assert await asyncio.gather(first, second) == [None, None]


async def test_a_store_that_does_not_answer_is_waited_for_once_and_shares_replace_it() -> None:
    one = Replica()
    one.store.gate.clear()
    began_s = asyncio.get_running_loop().time()
    assert await asyncio.gather(*(one.desk.fetch(one.draw()) for _ in range(3))) == [None] * 3
    assert GRANT_S <= asyncio.get_running_loop().time() - began_s < 2 * GRANT_S
    assert one.limits.is_away
    one.store.gate.set()
    await one.desk.refill()
    assert not one.limits.is_away, "the next round in the background finds out that the store is there"
    one.limits.is_away = True
    draw = one.limits.draw([RPM], 100, 0.0, CLOCK.now_s())
    assert one.limits.take(draw, CLOCK.now_s(), CLOCK.wall_s()) is None


async def test_a_leader_that_leaves_is_followed_by_another() -> None:
    one = Replica()
    one.store.gate.clear()
    leader, follower = (asyncio.ensure_future(one.desk.fetch(one.draw())) for _ in range(2))
    await asyncio.sleep(0)
    leader.cancel()
    await asyncio.sleep(0)
    one.store.gate.set()
    assert await follower is None and leader.cancelled()
    assert not one.desk._waiting and not one.desk._flying


async def test_in_the_background_a_store_that_is_away_is_tried_again_after_a_pause_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Replica()
    assert await one.desk.fetch(one.draw()) is None
    one.store.is_away = True
    (lease,) = one.limits._leases.values()
    one.limits.again([lease])
    with pytest.raises(StoreAway):
        await one.desk.refill()
    assert one.limits.is_away
    tried = len(one.store.asked)
    with pytest.raises(StoreAway, match="away"):
        await one.desk.refill()
    assert len(one.store.asked) == tried
    one.store.is_away = False
    monkeypatch.setattr(one.desk, "_tried_s", CLOCK.now_s() - AWAY_S)
    await one.desk.refill()
    assert not one.limits.is_away and len(one.store.asked) == tried + 1


async def test_a_round_passes_over_tenants_whose_call_is_under_way() -> None:
    one = Replica()
    one.store.gate.clear()
    waiting = asyncio.ensure_future(one.desk.fetch(one.draw()))
    await asyncio.sleep(0)
    (lease,) = one.limits._leases.values()
    lease.pending = 0
    one.limits.again([lease])
    await one.desk.refill()
    assert len(one.store.asked) == 1
    one.store.gate.set()
    await waiting


async def test_at_the_end_everything_goes_back() -> None:
    one = Replica()
    (lease,) = [need[0] for need in one.draw().needs]
    for _ in range(30):
        lease.take(1, CLOCK.now_s(), 0)
    lease.settle(-30)
    await one.desk._call("acme", [lease])
    assert lease.balance > 0
    await one.desk.give_back()
    assert lease.balance == 0 and one.store.asked[-1][0].is_leaving and one.store.vaults["acme"].out == 0


def test_leases_are_called_for_tenant_by_tenant() -> None:
    leases = [Lease(limit, 0.0) for limit in (RPM, OTHERS, RPM)]
    assert by_tenant(leases) == {"acme": [leases[0], leases[2]], "other": [leases[1]]}


def test_a_fast_clock_is_told_to_the_server_in_its_own_seconds() -> None:
    keys, args = call([Ask(RPM, 3, 20, 15, 5, "b", 1, 1, 9, 30, 7, True)], "me", SystemClock(6.0))
    assert keys == ["sluice:1:{limits:acme}:tenant/requests", "sluice:1:{limits:acme}:tenant/requests:holders"]
    assert args[:2] == [5000, 10_000] and args[4:] == [600, 60.0, 3, 20, 15, 5, "b", 1, 1, 9, 30, 1, "me.7"]


def test_what_the_script_says_becomes_numbers() -> None:
    assert answers([["7", "2", "-1.500000", 3, "123"]]) == [Granted(7, 2, -1.5, 3, "123")]


async def test_a_refusal_is_the_limits_own() -> None:
    one = Replica()
    none = Limit("acme", "tenant/requests", LimitKind.REQUESTS, 1, 1 / 60, "1 requests per minute")
    first, second = one.draw(none), one.draw(none)
    assert await one.desk.fetch(first) is None
    refused = await one.desk.fetch(second)
    assert isinstance(refused, Shed) and refused.message == "tenant acme has used up its limit of 1 requests per minute"
