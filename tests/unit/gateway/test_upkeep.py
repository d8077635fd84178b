"""Rounds of the clock's story against the in-process store: govern, poll, freeze, hand over, carry on."""

import asyncio

import pytest

from gateway.assemble import build
from gateway.config.load import load
from gateway.core.state import State
from gateway.edges.scoring.scorer import Scoring
from gateway.edges.store.memory import MemoryStore, Shared
from gateway.edges.store.recorder import SlotRecorder
from gateway.ports import StoreAway
from gateway.upkeep import Duty, Upkeep


class HandClock:
    """A clock that is moved by hand; sleeping moves it."""

    speed = 1.0

    def __init__(self) -> None:
        self.at_s = 1_000_000.0

    def now_s(self) -> float:
        return self.at_s

    def wall_s(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        await asyncio.sleep(0)

    def real_s(self, seconds: float) -> float:
        return seconds


class Replica:
    """State, core, store and upkeep of one process."""

    def __init__(self, clock: HandClock, shared: Shared, name: str) -> None:
        self.state, self.recorder = State(), SlotRecorder()
        self.store = MemoryStore(clock, self.recorder, name, shared)
        self.runtime = build(load("config/examples/cost.yaml", {}), self.state, Scoring(), generation=1)
        self.upkeep = Upkeep(clock, self.store, self.state, lambda: self.runtime.core, lambda: 5.0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def test_the_leader_prices_and_everybody_adopts(clock):
    shared = Shared()
    leader, follower = Replica(clock, shared, "a"), Replica(clock, shared, "b")
    await leader.upkeep.govern()
    await follower.upkeep.govern()
    assert leader.upkeep.watched.is_leader and not follower.upkeep.watched.is_leader
    for replica in (leader, follower):
        await replica.upkeep.poll()
    assert leader.state.prices == follower.state.prices is not None
    assert follower.upkeep.watched.board == leader.upkeep.watched.board is not None


async def test_what_one_replica_books_and_flushes_the_leader_sees(clock):
    shared = Shared()
    leader, other = Replica(clock, shared, "a"), Replica(clock, shared, "b")
    await leader.upkeep.govern()
    other.recorder.book([("n", 3), ("req", 3), ("usd", 250_000_000)], clock.wall_s())
    await other.upkeep.flush()
    clock.at_s += 5.0
    await leader.upkeep.govern()
    spend = next(b for b in leader.upkeep.watched.board["budgets"] if b["kind"] == "cost")
    assert spend["spent_usd"] == pytest.approx(0.25)


async def test_when_the_leader_dies_another_goes_on_from_its_memory(clock):
    shared = Shared()
    first, second = Replica(clock, shared, "a"), Replica(clock, shared, "b")
    for _ in range(3):
        await first.upkeep.govern()
        clock.at_s += 5.0
    version = first.upkeep.watched.board is not None and (await first.store.poll())[0].version
    clock.at_s += 20.0  # the lease of three ticks runs out
    await second.upkeep.govern()
    assert second.upkeep.watched.is_leader
    assert (await second.store.poll())[0].version == version + 1
    await first.upkeep.govern()
    assert not first.upkeep.watched.is_leader


async def test_a_store_that_is_away_leaves_prices_as_they_are_and_is_said_once(clock, caplog):
    replica = Replica(clock, Shared(), "a")
    await replica.upkeep.govern()
    await replica.upkeep.poll()
    prices, rounds = replica.state.prices, 0

    async def away() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 4:
            raise StoreAway("no answer within 0.5 s")
        raise asyncio.CancelledError

    await replica.upkeep.run([Duty("poll", lambda: 1.0, away)])
    assert replica.state.prices is prices
    assert replica.upkeep.watched.errors == {"poll": "no answer within 0.5 s"}
    assert sum("no answer" in r.message for r in caplog.records) == 1


async def test_a_duty_that_recovers_says_so_and_one_with_a_bug_goes_on(clock, caplog):
    replica, rounds = Replica(clock, Shared(), "a"), []

    async def shaky() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise RuntimeError("a bug")
        if len(rounds) == 3:
            raise asyncio.CancelledError

    await replica.upkeep.run([Duty("shaky", lambda: 1.0, shaky)])
    assert len(rounds) == 3
    assert replica.upkeep.watched.errors == {}
    assert any("works again" in r.message for r in caplog.records)


async def test_health_probes_move_the_breaker(clock):
    replica = Replica(clock, Shared(), "a")
    backend = replica.runtime.catalog.models["strong"].backends[0]

    class Prober:
        async def probe(self, asked):
            if asked.id == backend.id:
                return False
            raise OSError

    for _ in range(2):
        await replica.upkeep.probe(Prober())
    states = {b["id"]: b["breaker"] for b in replica.runtime.dispatcher.board(clock.now_s())["backends"]}
    assert states.pop(backend.id) == "open"
    assert set(states.values()) == {"closed"}
