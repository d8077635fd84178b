"""What every store means, told once for the real one and the one in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.domain.limit import Ask, Limit, LimitKind
from gateway.domain.prices import Price, Prices
from gateway.edges.clock import SystemClock
from gateway.edges.store.memory import MemoryStore, Shared
from gateway.edges.store.options import StoreOptions
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.store.redis import RedisStore
from gateway.ports import Fleet

AnyStore = RedisStore | MemoryStore
New = Callable[[str], tuple[AnyStore, SlotRecorder]]
CLOCK = SystemClock()


def prices(token: int, version: int = 1) -> Prices:
    price = Price("spend", "cost", 0.7, 0.002, None, None)
    return Prices(version, token, "abc", CLOCK.wall_s(), "shadow_price", (price,), factors={"m": 1.1}, infeasible=("x",))


@pytest.fixture(params=["redis", "memory"])
async def new(request: pytest.FixtureRequest, session_url: str, client: Redis) -> AsyncIterator[New]:
    made: list[AnyStore] = []
    shared = Shared()

    def make(name: str) -> tuple[AnyStore, SlotRecorder]:
        recorder = SlotRecorder()
        if request.param == "redis":
            made.append(RedisStore(session_url, StoreOptions(), CLOCK, recorder, name))
        else:
            made.append(MemoryStore(CLOCK, recorder, name, shared))
        return made[-1], recorder

    yield make
    for store in made:
        await store.close()


async def test_two_replicas_add_up_in_every_width(new: New) -> None:
    (one, booked_1), (two, booked_2) = new("one"), new("two")
    wall_s = CLOCK.wall_s() - 86_400.0
    booked_1.book([("good", 3), ("usd", 12_345_678_901)], wall_s)
    booked_2.book([("good", 4)], wall_s)
    assert await one.flush() == 1
    assert await two.flush() == 1
    expected = {(w, int(wall_s // w)): {"good": 7, "usd": 12_345_678_901} for w in (10, 300, 3600)}
    read = {(w, n): dict(t) for w, n, t in await one.slots(0)}
    expected = {k: v for k, v in expected.items() if k in read}
    assert (3600, int(wall_s // 3600)) in expected
    assert read == expected


async def test_nothing_booked_is_nothing_flushed(new: New) -> None:
    store, _ = new("one")
    assert await store.flush() == 0
    assert await store.slots(0) == []
    assert not store.health.is_away


async def test_a_change_of_another_replica_in_an_old_slot_is_seen(new: New) -> None:
    (one, booked_1), (two, booked_2) = new("one"), new("two")
    now_s = CLOCK.wall_s()
    booked_1.book([("good", 1)], now_s - 86_400)
    await one.flush()
    await one.slots(0)
    mark_s = CLOCK.wall_s()
    await one.slots(mark_s)
    booked_2.book([("verdict", 1)], now_s - 86_400)
    await two.flush()
    assert (3600, int((now_s - 86_400) // 3600), {"good": 1, "verdict": 1}) in await one.slots(mark_s)


async def test_one_leads_until_it_resigns_and_tokens_rise(new: New) -> None:
    one, two = new("one")[0], new("two")[0]
    token = await one.lead(30.0)
    assert token is not None
    assert await one.lead(30.0) == token
    assert await two.lead(30.0) is None
    await two.resign()
    assert await two.lead(30.0) is None, "only the holder can give it back"
    await one.resign()
    assert await two.lead(30.0) == token + 1


async def test_a_lease_runs_out(new: New) -> None:
    one, two = new("one")[0], new("two")[0]
    first = await one.lead(0.05)
    await asyncio.sleep(0.08)
    second = await two.lead(30.0)
    assert first is not None
    assert second == first + 1


async def test_a_writer_that_was_overtaken_cannot_write(new: New) -> None:
    one, two = new("one")[0], new("two")[0]
    old = await one.lead(0.05)
    await asyncio.sleep(0.08)
    fresh = await two.lead(30.0)
    assert old is not None
    assert fresh is not None
    assert not await one.publish(prices(old, 1), {"by": "one"}, {}), "although nobody has written since"
    assert await two.publish(prices(fresh, 2), {"by": "two"}, {"b": 1})
    assert not await one.publish(prices(old, 3), {"by": "one"}, {})
    assert await one.memory() == {"by": "two"}
    assert await two.publish(prices(fresh, 4), {"by": "two again"}, {})


async def test_a_writer_that_slept_past_its_lease_cannot_write_although_nobody_took_it(new: New) -> None:
    one = new("one")[0]
    old = await one.lead(0.05)
    await asyncio.sleep(0.08)
    assert old is not None
    assert not await one.publish(prices(old, 1), {"by": "one"}, {})
    fresh = await one.lead(30.0)
    assert fresh == old + 1
    assert not await one.publish(prices(old, 1), {"by": "one"}, {}), "a late copy of it neither"
    assert await one.publish(prices(fresh, 1), {"by": "one"}, {})


async def test_the_newest_configuration_governs_and_everybody_knows_who_is_behind(new: New) -> None:
    one, two, three = (new(name)[0] for name in ("one", "two", "three"))
    assert await one.lead(30.0, "h1") == 1
    assert await two.lead(30.0, "h1") is None
    assert (one.fleet, two.fleet) == (Fleet(1, 1, 1, 0), Fleet(2, 1, 1, 0))
    assert await two.lead(30.0, "h2") == 2, "an edit takes the lease at once"
    assert not await one.publish(prices(1), {}, {})
    assert await one.lead(30.0, "h1") is None
    assert (one.fleet, two.fleet) == (Fleet(2, 1, 2, 1), Fleet(2, 2, 2, 1))
    assert await three.lead(30.0, "h1") is None, "who starts with an old configuration does not bring it back"
    assert three.fleet == Fleet(3, 1, 2, 2)
    assert await one.lead(30.0, "h2") is None, "as new as the holder's"
    assert await two.lead(30.0, "h2") == 2
    assert two.fleet == Fleet(3, 2, 2, 1)
    assert await two.lead(30.0, "h1") == 2, "it holds the lease already; an edit back to an old text is a new generation"
    assert two.fleet == Fleet(3, 3, 3, 2), "three has the same text, but has not asked since"
    assert await three.lead(30.0, "h1") is None
    assert three.fleet == Fleet(3, 3, 3, 1)


async def test_an_old_configuration_governs_when_nobody_lives_who_has_a_newer_one(new: New) -> None:
    one, two, three = (new(name)[0] for name in ("one", "two", "three"))
    await one.lead(0.05, "h1")
    await two.lead(0.05, "h2")
    assert await one.lead(0.05, "h1") is None
    await asyncio.sleep(0.15)  # Two leases: two is gone.
    assert await one.lead(0.05, "h1") == 3
    assert one.fleet == Fleet(1, 1, 1, 0)
    assert await three.lead(30.0, "h2") == 4
    await three.resign()
    assert await one.lead(0.05, "h1") == 5, "who leaves need not be waited for"


async def test_what_is_published_is_what_is_polled(new: New) -> None:
    one, two = new("one")[0], new("two")[0]
    assert await two.poll() == (None, (await two.poll())[1], None)
    assert await two.memory() is None
    token = await one.lead(30.0)
    assert token is not None
    said = prices(token)
    assert await one.publish(said, {"mu": [1.5, None], "n": 3}, {"queue": 7})
    polled, forced, board = await two.poll()
    assert polled == said
    assert board == {"queue": 7}
    assert not forced.pins
    assert await two.memory() == {"mu": [1.5, None], "n": 3}


async def test_overrides_reach_everybody_expire_and_are_audited(new: New) -> None:
    one, two = new("one")[0], new("two")[0]
    await one.override({"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 60.0, "by": "ada"})
    await one.override({"verb": "pin", "route": "brief", "threshold": 0.4, "for_s": 0.01, "by": "ada"})
    await one.override({"verb": "freeze", "for_s": 60.0, "by": "bob"})
    await asyncio.sleep(0.02)
    forced = (await two.poll())[1]
    assert {r: (p.threshold, p.by) for r, p in forced.pins.items()} == {"auto": (0.3, "ada")}
    assert forced.frozen_by == "bob"
    await two.override({"verb": "unpin", "route": "auto", "by": "eve"})
    forced = (await one.poll())[1]
    assert (dict(forced.pins), forced.frozen_by) == ({}, "bob")
    await two.override({"verb": "unpin", "route": None, "by": "eve"})
    assert (await one.poll())[1].frozen_until_wall_s == 0.0
    lines = await one.audit()
    told = [f"{line['verb']} by {line['by']}" for line in lines]
    assert told == ["unpin by eve", "unpin by eve", "freeze by bob", "pin by ada", "pin by ada"]
    assert all(abs(line["at_wall_s"] - CLOCK.wall_s()) < 10 for line in lines)
    with pytest.raises(ValueError, match="unknown override"):
        await one.override({"verb": "boom"})


async def test_feedback_is_taken_and_a_large_one_refused(new: New) -> None:
    store, _ = new("one")
    verdict: dict[str, Any] = {"good": False}
    at_s = CLOCK.wall_s()
    assert await store.feedback("req_1", "acme", verdict, at_s)
    assert not await store.feedback("req_1", "acme", {"good": True}, at_s)  # Kept in place of the first, and no second vote.
    assert await store.feedback("req_2", "acme", verdict, at_s)
    assert await store.feedback("req_1", "acme", verdict, at_s - 3 * 86_400)  # Another day's request.
    assert await store.feedback("req_3", "stranger", verdict, at_s) and await store.feedback("req_3", "acme", verdict, at_s)
    with pytest.raises(ValueError, match="2048"):
        await store.feedback("req_1", "acme", {"text": "x" * 4000}, CLOCK.wall_s())


async def test_all_replicas_share_the_first_secret_that_was_proposed(new: New) -> None:
    one, two = new("one")[0], new("two")[0]
    assert [await one.secret("aa"), await two.secret("bb"), await one.secret("cc")] == ["aa"] * 3


async def test_closing_flushes_and_gives_the_lease_back(new: New) -> None:
    (one, booked), (two, _) = new("one"), new("two")
    token = await one.lead(30.0)
    booked.book([("good", 1)], CLOCK.wall_s())
    await one.close()
    assert token is not None
    assert await two.lead(30.0) == token + 1
    assert any(totals == {"good": 1} for _, _, totals in await two.slots(0))


async def test_two_replicas_share_a_limit(new: New) -> None:
    (one, _), (two, _) = new("one"), new("two")
    limit = Limit("acme", "tenant/usd", LimitKind.USD, 1000, 0.0, "little per day (UTC)")
    (first,) = await one.grant([Ask(limit, 1, 0, 0, 0, "", 100, 100, 50, 1)])
    assert (first.granted, first.held, first.level, first.holders) == (114, 14, 886.0, 1)
    (second,) = await two.grant([Ask(limit, 1, 0, 0, 0, "", 887, 887, 0, 1)])
    assert (second.granted, second.level, second.holders) == (0, 886.0, 2)
    (third,) = await one.grant([Ask(limit, 2, 110, 100, 0, first.born, 0, 0, 0, 1)])
    assert (third.granted, third.held, third.level) == (110, 10, 890.0)
