"""The story of the clock: rounds on a real store in memory, two replicas, and a clock that only the test moves."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from gateway.core.assemble import Core, Prediction, assemble
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import Period, SloSpec
from gateway.core.pricing.laws.shadow_price import ShadowPriceLaw
from gateway.core.pricing.options import PricingOptions
from gateway.core.pricing.threshold import Gain
from gateway.core.state import State
from gateway.domain.catalog import Backend, Catalog, Model, Route, Router, Tariff, TrafficClass
from gateway.domain.event import NANO
from gateway.domain.prices import Overrides, Prices
from gateway.edges.store.memory import MemoryStore, Shared
from gateway.edges.store.recorder import SlotRecorder
from gateway.ports import Slots, StoreAway
from gateway.upkeep import LEASE_TICKS, Duty, Upkeep

T = 1_759_968_000.0  # 2025-10-09 00:00:00 UTC.
STRONG = Model("strong", Tariff(2.5, 10.0), 128_000, (Backend("s1", "http://s1/v1", "big"), Backend("s2", "http://s2/v1", "big")))
WEAK = Model("weak", Tariff(0.15, 0.6), 32_000, (Backend("w", "http://w/v1", "small"),))
CATALOG = Catalog(
    {"strong": STRONG, "weak": WEAK},
    {"auto": Route("auto", ("strong", "weak"), Router("builtin", 0.35))},
    {"standard": TrafficClass("standard", 3.0, 30.0, 0)},
    {},
)
SPEND = SloSpec("spend", "cost", Cost.Options(2_000.0, 864_000.0), period=Period("day"))
SHADOW = PricingOptions("shadow_price", ShadowPriceLaw.Options(), ("spend",))
GAINS = np.linspace(0.0, 0.5, 300)
PREDICTIONS = {"auto": Prediction(Gain(((0.0, 0.0), (1.0, 0.5))), np.stack([0.4 + GAINS, np.full(300, 0.4)], axis=1))}


class Hand:
    """A clock moved by hand; whoever sleeps on it only yields."""

    speed = 1.0

    def __init__(self) -> None:
        self.s = 0.0
        self.slept: list[float] = []

    def now_s(self) -> float:
        return self.s

    def wall_s(self) -> float:
        return T + self.s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def real_s(self, seconds: float) -> float:
        return seconds


class Flaky(MemoryStore):
    """The store in memory, behind a line that can be cut."""

    is_away = False

    def _check(self) -> None:
        if self.is_away:
            raise StoreAway("the line is cut")

    async def flush(self) -> int:
        self._check()
        return await super().flush()

    async def lead(self, ttl_s: float, config_hash: str = "") -> int | None:
        self._check()
        return await super().lead(ttl_s, config_hash)

    async def slots(self, from_wall_s: float) -> Slots:
        self._check()
        return await super().slots(from_wall_s)

    async def publish(self, prices: Prices, memory: Mapping[str, Any], board: Mapping[str, Any]) -> bool:
        self._check()
        return await super().publish(prices, memory, board)

    async def poll(self) -> tuple[Prices | None, Overrides, Mapping[str, Any] | None]:
        self._check()
        return await super().poll()


def core_on(state: State, spec: SloSpec = SPEND, config_hash: str = "hash") -> Core:
    return assemble(CATALOG, [spec], SHADOW, PREDICTIONS, state, "enforce", config_hash, 4.5)


@dataclass
class Replica:
    """One gateway process without its sockets."""

    clock: Hand
    shared: Shared
    name: str

    def __post_init__(self) -> None:
        self.state, self.recorder = State(), SlotRecorder()
        self.store = Flaky(self.clock, self.recorder, self.name, self.shared)
        self.core = core_on(self.state)
        self.upkeep = Upkeep(self.clock, self.store, self.state, lambda: self.core, lambda: 5.0)

    def serve(self, requests: int, usd_each: float = 0.002) -> None:
        self.recorder.book([("req", requests), ("n", requests), ("usd", round(requests * usd_each * NANO))], self.clock.wall_s())

    async def round(self) -> None:
        await self.upkeep.flush()
        await self.upkeep.govern()
        await self.upkeep.poll()

    @property
    def prices(self) -> Prices:
        assert self.state.prices is not None
        return self.state.prices

    @property
    def spent(self) -> float:
        board: Mapping[str, Any] = self.upkeep.watched.board
        return float(board["budgets"][0]["spent_usd"])


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def pair(clock: Hand) -> tuple[Replica, Replica]:
    shared = Shared()
    return Replica(clock, shared, "a"), Replica(clock, shared, "b")


async def test_a_round_counts_prices_and_puts_them_in_force(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, _ = pair
    news: list[int] = []
    a.upkeep.on_prices = lambda: news.append(a.prices.version)
    await a.round()
    assert a.prices.version == 1 and a.prices.made_wall_s == T and a.prices.alpha_ref["auto"] > 0.0
    assert a.upkeep.watched.is_leader and a.upkeep.watched.fencing_token == 1 and a.upkeep.watched.last_tick_wall_s == T
    await a.upkeep.poll()
    a.serve(100)
    clock.s = 5.0
    await a.round()
    assert a.prices.version == 2 and a.spent == pytest.approx(0.2) and news == [1, 2]


async def test_only_one_replica_governs_and_both_have_the_same_prices(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, b = pair
    for _ in range(10):
        a.serve(50)
        b.serve(30)
        for replica in (b, a):
            await replica.upkeep.flush()
        for replica in (a, b):
            await replica.upkeep.govern()
        for replica in (a, b):
            await replica.upkeep.poll()
        clock.s += 5.0
    assert a.upkeep.watched.is_leader and not b.upkeep.watched.is_leader
    assert a.prices == b.prices and a.prices.version == 10
    assert a.spent == b.spent == pytest.approx(10 * 80 * 0.002)


async def test_a_dead_leader_is_replaced_within_its_lease_and_nothing_is_forgotten(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, b = pair
    for _ in range(20):
        a.serve(50, 0.004)
        await a.round()
        clock.s += 5.0
    before = a.prices  # Then a falls silent.
    b.serve(100)
    await b.round()
    assert not b.upkeep.watched.is_leader and b.prices == before
    clock.s += LEASE_TICKS * 5.0
    await b.round()
    assert b.upkeep.watched.is_leader and b.prices.fencing_token == before.fencing_token + 1
    assert b.prices.version == before.version + 1
    assert b.spent == pytest.approx(20 * 50 * 0.004 + 0.2)
    assert b.prices.prices[0].value == pytest.approx(before.prices[0].value, rel=0.05)  # Goes on, not anew.


async def test_a_leader_that_was_asleep_finds_another_one_and_later_knows_what_that_one_counted(
    pair: tuple[Replica, Replica], clock: Hand
) -> None:
    a, b = pair
    a.serve(100)
    await a.round()
    clock.s = 60.0
    b.serve(1000)
    await b.round()
    assert b.upkeep.watched.is_leader
    await a.round()
    assert not a.upkeep.watched.is_leader and a.upkeep.watched.fencing_token is None
    await b.store.resign()
    clock.s = 65.0
    a.serve(100)
    await a.round()
    assert a.upkeep.watched.is_leader and a.spent == pytest.approx(1200 * 0.002)
    assert a.prices.version == b.prices.version + 1 == 3  # From b's memory, not from its own old one.
    clock.s = 70.0
    a.serve(100)
    await a.round()
    assert a.spent == pytest.approx(1300 * 0.002)


async def test_a_writer_that_was_overtaken_between_lease_and_publication_is_fenced_off(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, b = pair
    await a.round()
    slots = a.store.slots

    async def slow(from_wall_s: float) -> Slots:
        clock.s += 60.0
        await b.round()
        return await slots(from_wall_s)

    a.store.slots = slow  # type: ignore[method-assign]
    clock.s = 5.0
    await a.upkeep.govern()
    assert not a.upkeep.watched.is_leader
    await a.upkeep.poll()
    assert a.prices.fencing_token == 2 and a.prices == b.prices


async def test_while_the_store_is_away_prices_stay_as_they_are(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, _ = pair
    a.serve(100)
    await a.round()
    before = a.prices
    a.store.is_away = True
    for duty in (a.upkeep.flush, a.upkeep.govern, a.upkeep.poll):
        with pytest.raises(StoreAway):
            await duty()
    assert a.prices is before and a.state.prices_seen_s == 0.0
    a.serve(1000)
    clock.s = 600.0
    a.store.is_away = False
    await a.round()
    assert a.spent == pytest.approx(1100 * 0.002) and a.prices.version > before.version


async def test_a_gateway_that_started_without_its_store_finds_its_budget_when_it_comes_back(clock: Hand) -> None:
    shared = Shared()
    earlier = Replica(clock, shared, "earlier")
    earlier.serve(10_000)
    await earlier.round()
    clock.s = 1200.0
    late = Replica(clock, shared, "late")
    late.core.governor.tick(late.state.counts, {}, clock.wall_s(), {})  # What the worker does meanwhile.
    late.serve(5)
    clock.s = 1205.0
    await late.round()
    assert late.spent == pytest.approx(10_005 * 0.002)


async def test_a_config_edit_goes_on_with_counts_and_prices(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, _ = pair
    for _ in range(10):
        a.serve(50)
        await a.round()
        clock.s += 5.0
    before = a.prices
    edited = core_on(a.state, replace(SPEND, options=Cost.Options(4_000.0, 864_000.0)))
    a.core.governor.hand_over(edited.governor)
    a.core = edited
    a.serve(50)
    await a.round()
    assert a.prices.version == before.version + 1 and a.spent == pytest.approx(550 * 0.002)
    clock.s += 5.0
    a.serve(50)
    await a.round()
    assert a.spent == pytest.approx(600 * 0.002)


async def test_a_tick_that_fails_leaves_no_gap_in_the_accounts(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, _ = pair
    await a.round()
    a.serve(100)
    clock.s = 5.0
    await a.upkeep.flush()
    tick = a.core.governor.tick
    a.core.governor.tick = None  # type: ignore[method-assign, assignment]
    with pytest.raises(TypeError):
        await a.upkeep.govern()
    a.core.governor.tick = tick  # type: ignore[method-assign]
    clock.s = 10.0
    await a.round()
    assert a.spent == pytest.approx(0.2)


# -- without the store -------------------------------------------------------------------------------------------------


async def play(pair: tuple[Replica, Replica], clock: Hand, seconds: float, requests: int = 50, usd_each: float = 0.002) -> float:
    """Let both serve `requests` per tick and keep their duties going whatever comes; return the dollars."""
    for _ in range(round(seconds / 5.0)):
        for replica in pair:
            replica.serve(requests, usd_each)
            for duty in (replica.upkeep.flush, replica.upkeep.govern, replica.upkeep.poll):
                try:
                    await duty()
                except StoreAway:
                    pass
        clock.s += 5.0
    return round(seconds / 5.0) * 2 * requests * usd_each


def cut(pair: tuple[Replica, Replica], is_away: bool) -> None:
    for replica in pair:
        replica.store.is_away = is_away


async def test_prices_are_frozen_for_a_quarter_of_an_hour_and_then_each_goes_on_alone(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, b = pair
    spent = await play(pair, clock, 900.0)
    before = a.prices
    cut(pair, True)
    await play(pair, clock, 890.0)
    assert a.prices is before and b.prices == before and a.upkeep.watched.alone_since_wall_s is None
    seen_s = a.state.prices_seen_s
    spent += 890.0 / 5.0 * 2 * 50 * 0.002 + await play(pair, clock, 600.0, requests=150)
    for one in pair:
        assert one.upkeep.watched.alone_since_wall_s == pytest.approx(T + 1800.0, abs=15.0)
        assert one.prices.version > before.version
        assert one.prices.prices[0].value > before.prices[0].value * 1.05, "three times the traffic: money is scarcer"
        assert one.spent == pytest.approx(spent, rel=0.005), "its own counts, twice"
    assert a.state.prices_seen_s == seen_s, "nobody else has confirmed these prices: their age goes on"


async def test_after_an_hour_alone_the_accounts_are_exact_and_prices_go_on_from_where_they_were(
    pair: tuple[Replica, Replica], clock: Hand
) -> None:
    a, b = pair
    spent = await play(pair, clock, 900.0)
    cut(pair, True)
    spent += await play((a, b), clock, 3600.0, requests=150)
    alone = {one.name: one.prices for one in pair}
    b_only = await play((b,), clock, 300.0) / 2  # One serves on, so that the two differ.
    spent += b_only
    cut(pair, False)
    a.upkeep.watched.errors.clear()
    await a.upkeep.poll()
    assert a.prices == alone["a"], "the store's own prices are an hour old"
    await b.upkeep.flush()
    await a.round()
    leader = next(one for one in pair if one.upkeep.watched.is_leader)
    assert leader.spent == pytest.approx(spent, rel=1e-9)
    assert leader.prices.prices[0].value == pytest.approx(alone[leader.name].prices[0].value, rel=0.05)
    await b.upkeep.poll()
    assert a.prices == b.prices
    assert [one.upkeep.watched.alone_since_wall_s for one in pair] == [None, None]
    more = await play(pair, clock, 600.0)
    await a.round()
    await b.round()
    assert a.spent == b.spent == pytest.approx(spent + more, rel=1e-9), "nothing is counted twice"


async def test_a_config_edit_while_alone_goes_on_with_accounts_and_prices(pair: tuple[Replica, Replica], clock: Hand) -> None:
    _, b = pair
    spent = await play(pair, clock, 900.0)
    cut(pair, True)
    spent += await play(pair, clock, 1200.0)
    before = b.prices
    edited = core_on(b.state, replace(SPEND, options=Cost.Options(4_000.0, 864_000.0)))
    b.core.governor.hand_over(edited.governor)
    b.core = edited
    spent += await play(pair, clock, 10.0)
    assert b.prices.version == before.version + 2 and b.spent == pytest.approx(spent, rel=0.005)


async def test_a_gateway_that_never_saw_its_store_prices_for_itself(clock: Hand) -> None:
    late = Replica(clock, Shared(), "late")
    late.store.is_away = True
    await play((late, late), clock, 1000.0)
    assert late.prices.version >= 1 and late.upkeep.watched.alone_since_wall_s is not None
    assert late.spent == pytest.approx(200 * 2 * 50 * 0.002, rel=0.02)


async def test_two_configurations_on_one_store_the_newest_governs(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, b = pair
    await a.round()
    assert a.upkeep.watched.is_leader
    b.core = core_on(b.state, replace(SPEND, options=Cost.Options(4_000.0, 864_000.0)), "newer")
    await b.round()
    assert b.upkeep.watched.is_leader
    await a.round()
    assert not a.upkeep.watched.is_leader and a.prices == b.prices and a.prices.config_hash == "newer"
    assert (a.store.fleet.behind, a.store.fleet.generation, b.store.fleet.generation) == (1, 1, 2)


async def test_overrides_reach_a_gateway_that_has_no_prices_yet(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, b = pair
    await b.store.override({"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 60.0, "by": "kim"})
    await a.upkeep.poll()
    assert a.state.prices is None and a.state.overrides.pins["auto"].threshold == 0.3


async def test_a_freeze_holds_prices_in_every_replica(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, b = pair
    await a.round()
    before = a.prices
    await b.store.override({"verb": "freeze", "for_s": 600.0, "by": "kim"})
    await a.upkeep.poll()
    for _ in range(10):
        clock.s += 5.0
        a.serve(500, 0.05)
        await a.round()
    await b.upkeep.poll()
    assert b.prices.prices == before.prices and b.prices.version == before.version + 10
    assert b.state.overrides.frozen_by == "kim"


# -- probes ------------------------------------------------------------------------------------------------------------


class Doctor:
    """Answers probes from a table; an exception is raised."""

    def __init__(self, answers: Mapping[str, bool | Exception | None]) -> None:
        self.answers = answers

    async def probe(self, backend: Backend) -> bool | None:
        answer = self.answers[backend.id]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_probes_open_and_reopen_breakers_and_one_that_fails_hinders_no_other(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, _ = pair
    for _ in range(2):
        await a.upkeep.probe(Doctor({"s1": False, "s2": OSError("no route"), "w": None}))
    states = {b.id: a.state.placement.account(b.id, m.name).breaker.state.value for m in (STRONG, WEAK) for b in m.backends}
    assert states == {"s1": "open", "s2": "closed", "w": "closed"}
    await a.upkeep.probe(Doctor({"s1": True, "s2": True, "w": None}))
    assert a.state.placement.account("s1", "strong").breaker.state.value == "half_open"


# -- limits ----------------------------------------------------------------------------------------------------------


async def test_units_of_limits_are_fetched_before_requests_need_them(pair: tuple[Replica, Replica]) -> None:
    class Leases:
        rounds = 0

        async def refill(self) -> None:
            self.rounds += 1

    leases = Leases()
    await pair[0].upkeep.refill(leases)
    assert leases.rounds == 1


# -- duties ------------------------------------------------------------------------------------------------------------


async def test_duties_repeat_until_cancelled_and_their_pauses_are_asked_anew(pair: tuple[Replica, Replica], clock: Hand) -> None:
    a, _ = pair
    rounds: list[str] = []

    async def one() -> None:
        rounds.append("one")

    async def two() -> None:
        rounds.append("two")

    pauses = iter(range(1, 1000))
    running = asyncio.ensure_future(a.upkeep.run([Duty("one", lambda: float(next(pauses)), one), Duty("two", lambda: 0.5, two)]))
    while rounds.count("one") < 3 or rounds.count("two") < 3:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [s for s in clock.slept if s != 0.5][:3] == [1.0, 2.0, 3.0]


async def test_a_round_that_fails_is_said_once_ends_nothing_and_is_forgotten_when_it_works_again(
    pair: tuple[Replica, Replica], caplog: pytest.LogCaptureFixture
) -> None:
    a, _ = pair
    troubles: list[Exception | None] = [StoreAway("cut"), StoreAway("cut"), OSError("full"), ValueError("bug"), None, None]
    seen: list[str | None] = []

    async def do() -> None:
        trouble = troubles.pop(0) if troubles else None
        if trouble is not None:
            raise trouble

    def pause() -> float:
        seen.append(a.upkeep.watched.errors.get("flush"))
        return 1.0

    running = asyncio.ensure_future(a.upkeep.run([Duty("flush", pause, do)]))
    while len(seen) < 6:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert seen[:6] == ["cut", "cut", "full", "ValueError: bug", None, None]
    said = [r.getMessage() for r in caplog.records if r.name == "sluice.upkeep" and r.levelname == "WARNING"]
    assert said == ["flush: cut", "flush: full", "flush: ValueError: bug", "flush: works again"]
    assert [r.exc_info is not None for r in caplog.records if r.levelname == "ERROR"] == [True]  # A bug is told with its trace.
