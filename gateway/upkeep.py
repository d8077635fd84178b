"""The story of the clock: flush, govern, poll, refill, probe, sweep, watch. The only place that makes tasks; no rule in it.

Every duty is a coroutine that does one round and a pause between rounds. A round that fails is counted and said once per
change, never ends the duty, and never reaches a request: a store that is away freezes budgets, nothing else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.core.assemble import Core
from gateway.core.budget.continuation import Continuation
from gateway.core.state import State
from gateway.domain.catalog import Backend
from gateway.ports import Clock, Store, StoreAway

LOG = logging.getLogger("sluice.upkeep")
LEASE_TICKS = 3.0
"""The governor's lease lasts this many ticks: a dead leader is replaced after at most that."""
ALONE_AFTER_S = 900.0
"""Frozen prices do no measurable harm for an hour, over a burst; the law itself decays after as long a silence.
Source: control_and_budgets, section 4."""
RECENT_S = 30.0
"""How far back own counts are looked at again while alone: what is booked later than that is a rare late verdict."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something done again and again."""

    name: str
    every_s: Callable[[], float]
    """Pause between rounds, clock seconds; asked anew each time, as a config edit may change it."""
    round: Callable[[], Awaitable[None]]


class Refiller(Protocol):
    """Fetches units of tenants' limits before requests need them."""

    async def refill(self) -> None:
        """Fetch, renew and give back what is due. Raises: StoreAway."""
        ...


class Prober(Protocol):
    """Asks a backend how it is."""

    async def probe(self, backend: Backend) -> bool | None:
        """Return whether it is healthy; None when it has no health endpoint."""
        ...


@dataclass(slots=True)
class Alone:
    """This replica goes on by itself: the store has been silent for long."""

    since_wall_s: float
    guess: Continuation
    followed: tuple[int, int] | None
    """Version and token of the prices that the store had last told; they are not adopted again."""
    memory: Mapping[str, Any] | None = None
    """The law's memory after the last tick alone."""
    governor: Any = None
    read_wall_s: float = 0.0


@dataclass(slots=True)
class Watched:
    """How the duties are doing; for state and metrics."""

    errors: dict[str, str] = field(default_factory=dict)
    """Last error by duty; a duty that works has none."""
    is_leader: bool = False
    fencing_token: int | None = None
    last_tick_wall_s: float | None = None
    board: Any = None
    """The newest published board; while this replica is alone, its own."""
    alone_since_wall_s: float | None = None
    """Since when this replica prices by its own counts; None while it follows the store, or its last prices."""


class Upkeep:
    """Runs duties until cancelled."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        state: State,
        core: Callable[[], Core],
        tick_s: Callable[[], float],
        alone_after_s: Callable[[], float] = lambda: ALONE_AFTER_S,
    ) -> None:
        """Build the budget duties.

        Args:
            core: the core now in force; a config swap changes what it returns.
            tick_s: how often budgets are judged.
            alone_after_s: silence of the store after which this replica goes on by itself.
        """
        self._clock, self._store, self._state, self._core, self._tick_s = clock, store, state, core, tick_s
        self._alone_after_s, self._heard_s = alone_after_s, clock.now_s()
        self._alone: Alone | None = None
        self.watched = Watched()
        self._read_wall_s = 0.0
        self._recalled: Any = None
        self.on_prices: Callable[[], None] | None = None
        """Called when a new version of prices comes into force."""

    async def run(self, duties: Sequence[Duty]) -> None:
        """Run all duties side by side; returns only when cancelled."""
        async with asyncio.TaskGroup() as group:
            for duty in duties:
                group.create_task(self._repeat(duty), name=duty.name)

    async def _repeat(self, duty: Duty) -> None:
        while True:
            try:
                await duty.round()
                if self.watched.errors.pop(duty.name, None) is not None:
                    LOG.warning("%s: works again", duty.name)
            except (StoreAway, OSError, TimeoutError) as trouble:
                self._note(duty.name, str(trouble) or type(trouble).__name__)
            except Exception as bug:
                self._note(duty.name, f"{type(bug).__name__}: {bug}")
                LOG.exception("%s: round failed", duty.name)
            await self._clock.sleep(duty.every_s())

    def _note(self, name: str, trouble: str) -> None:
        if self.watched.errors.get(name) != trouble:
            LOG.warning("%s: %s", name, trouble)
        self.watched.errors[name] = trouble

    async def flush(self) -> None:
        """Write counts."""
        await self._store.flush()

    async def poll(self) -> None:
        """Read prices, overrides and board, and put them in force."""
        prices, overrides, board = await self._store.poll()
        if self._alone is not None:
            if prices is None or (prices.version, prices.fencing_token) == self._alone.followed:
                self._state.overrides = overrides
                return  # Nobody has judged since the store is back: our own prices are newer.
            self._alone = self.watched.alone_since_wall_s = None
            LOG.warning("the store's prices are in force again")
        if board is not None:
            self.watched.board = board
        if prices is None:
            self._state.overrides = overrides
        elif self._core().dispatcher.adopt(prices, overrides, self._clock.now_s()) and self.on_prices is not None:
            self.on_prices()

    async def govern(self) -> None:
        """Judge and price, if this replica is to; else follow the counts, so that it could at any time."""
        try:
            await self._govern()
            self._heard_s = self._clock.now_s()
        except StoreAway:
            self._go_on_alone()
            raise

    async def _govern(self) -> None:
        wall_s, core, state = self._clock.wall_s(), self._core(), self._state
        token = await self._store.lead(LEASE_TICKS * self._tick_s(), core.config_hash)
        if token is None:
            self.watched.is_leader, self.watched.fencing_token, self._recalled = False, None, None
            state.counts.update(await self._store.slots(self._read_wall_s))
            self._read_wall_s = wall_s
            return
        if token != self.watched.fencing_token:  # We just took over: read everything, and the last writer's memory.
            self._read_wall_s, self._recalled = 0.0, None
        slots = await self._store.slots(self._read_wall_s)
        if self._recalled is None:
            core.governor.recall(_newer(await self._store.memory(), self._alone))
        fresh = state.counts.update(slots)
        if self._recalled is not core.governor:
            fresh = {}  # What was there before is no news; the ledger sums it from the slots.
        self._read_wall_s, self._recalled = wall_s, None  # A tick that fails would leave a gap: then all is summed anew.
        published = core.governor.tick(state.counts, fresh, wall_s, self._health(core), state.overrides, token)
        self._recalled = core.governor
        self.watched.is_leader, self.watched.fencing_token = True, token
        if not await self._store.publish(published.prices, published.memory, published.board):
            self.watched.is_leader, self.watched.fencing_token = False, None
            return
        self.watched.last_tick_wall_s, self.watched.board = wall_s, published.board

    def _go_on_alone(self) -> None:
        """Judge and price by our own counts, once the store has been silent for long; nothing is written."""
        core, state, wall_s = self._core(), self._state, self._clock.wall_s()
        if self._clock.now_s() - self._heard_s < self._alone_after_s():
            return
        if self._alone is None:
            followed = (state.prices.version, state.prices.fencing_token) if state.prices is not None else None
            replicas = self._store.fleet.replicas
            self._alone = Alone(wall_s, Continuation(state.counts, replicas), followed)
            self._alone.memory = None if self.watched.is_leader else self._store.last_memory
            self.watched.alone_since_wall_s = wall_s
            LOG.warning("the store has been silent for long: going on by our own counts, as one of %d", replicas)
        alone = self._alone
        if alone.governor is not core.governor:  # At the start, and after a config edit.
            core.governor.recall(alone.memory)
            alone.governor = core.governor
        fresh = alone.guess.take(self._store.unwritten(alone.read_wall_s))
        alone.read_wall_s = wall_s - RECENT_S
        token = state.prices.fencing_token if state.prices is not None else 0
        published = core.governor.tick(alone.guess.counts, fresh, wall_s, self._health(core), state.overrides, token)
        alone.memory, self._recalled = published.memory, None
        # The prices' age goes on: nobody but us has confirmed them.
        if core.dispatcher.adopt(published.prices, state.overrides, state.prices_seen_s) and self.on_prices is not None:
            self.on_prices()
        self.watched.is_leader, self.watched.fencing_token, self.watched.board = False, None, published.board

    def _health(self, core: Core) -> dict[str, tuple[float, float]]:
        health = {name: self._state.placement.health(name) for name in core.dispatcher.catalog.models}
        return {name: (h.success, h.late) for name, h in health.items()}

    async def refill(self, leases: Refiller) -> None:
        """Keep units of limited tenants at hand, so that their requests seldom wait for the store."""
        await leases.refill()

    async def probe(self, prober: Prober) -> None:
        """Ask every backend that can be asked how it is, all at once."""
        backends = [(m, b) for m in self._core().dispatcher.catalog.models.values() for b in m.backends]
        answers = await asyncio.gather(*(prober.probe(b) for _, b in backends), return_exceptions=True)
        for (model, backend), answer in zip(backends, answers, strict=True):
            if isinstance(answer, bool):
                self._state.placement.probed(backend.id, model.name, answer, self._clock.now_s())


def _newer(published: Mapping[str, Any] | None, alone: Alone | None) -> Mapping[str, Any] | None:
    """Return the law's memory to go on from: what we made alone, if nobody has published since."""
    mine = alone.memory if alone is not None else None
    if mine is None or published is None:
        return mine or published
    return max(published, mine, key=lambda memory: float(memory["governor"]["last_wall_s"] or 0.0))
