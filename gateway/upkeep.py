"""The story of the clock: flush, govern, poll, probe, sweep, watch. The only place that makes tasks; no rule in it.

Every duty is a coroutine that does one round and a pause between rounds. A round that fails is counted and said once per
change, never ends the duty, and never reaches a request: a store that is away freezes budgets, nothing else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.core.assemble import Core
from gateway.core.state import State
from gateway.domain.catalog import Backend
from gateway.ports import Clock, Store, StoreAway

LOG = logging.getLogger("sluice.upkeep")
LEASE_TICKS = 3.0
"""The governor's lease lasts this many ticks: a dead leader is replaced after at most that."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something done again and again."""

    name: str
    every_s: Callable[[], float]
    """Pause between rounds, clock seconds; asked anew each time, as a config edit may change it."""
    round: Callable[[], Awaitable[None]]


class Prober(Protocol):
    """Asks a backend how it is."""

    async def probe(self, backend: Backend) -> bool | None:
        """Return whether it is healthy; None when it has no health endpoint."""
        ...


@dataclass(slots=True)
class Watched:
    """How the duties are doing; for state and metrics."""

    errors: dict[str, str] = field(default_factory=dict)
    """Last error by duty; a duty that works has none."""
    is_leader: bool = False
    fencing_token: int | None = None
    last_tick_wall_s: float | None = None
    board: Any = None
    """The newest published board."""


class Upkeep:
    """Runs duties until cancelled."""

    def __init__(self, clock: Clock, store: Store, state: State, core: Callable[[], Core], tick_s: Callable[[], float]) -> None:
        """Build the budget duties.

        Args:
            core: the core now in force; a config swap changes what it returns.
            tick_s: how often budgets are judged.
        """
        self._clock, self._store, self._state, self._core, self._tick_s = clock, store, state, core, tick_s
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
        if board is not None:
            self.watched.board = board
        if prices is None:
            self._state.overrides = overrides
        elif self._core().dispatcher.adopt(prices, overrides, self._clock.now_s()) and self.on_prices is not None:
            self.on_prices()

    async def govern(self) -> None:
        """Judge and price, if this replica holds the lease."""
        tick_s = self._tick_s()
        token = await self._store.lead(LEASE_TICKS * tick_s)
        if token is None:
            self.watched.is_leader, self.watched.fencing_token = False, None
            return
        wall_s, core, state = self._clock.wall_s(), self._core(), self._state
        if token != self.watched.fencing_token:  # We just took over: read everything, and the last writer's memory.
            self._read_wall_s, self._recalled = 0.0, None
        slots = await self._store.slots(self._read_wall_s)
        if self._recalled is None:
            core.governor.recall(await self._store.memory())
        fresh = state.counts.update(slots)
        if self._recalled is not core.governor:
            fresh = {}  # What was there before is no news; the ledger sums it from the slots.
        self._read_wall_s, self._recalled = wall_s, None  # A tick that fails would leave a gap: then all is summed anew.
        health = {name: state.placement.health(name) for name in core.dispatcher.catalog.models}
        seen = {name: (h.success, h.late) for name, h in health.items()}
        published = core.governor.tick(state.counts, fresh, wall_s, seen, state.overrides, token)
        self._recalled = core.governor
        self.watched.is_leader, self.watched.fencing_token = True, token
        if not await self._store.publish(published.prices, published.memory, published.board):
            self.watched.is_leader, self.watched.fencing_token = False, None
            return
        self.watched.last_tick_wall_s, self.watched.board = wall_s, published.board

    async def probe(self, prober: Prober) -> None:
        """Ask every backend that can be asked how it is, all at once."""
        backends = [(m, b) for m in self._core().dispatcher.catalog.models.values() for b in m.backends]
        answers = await asyncio.gather(*(prober.probe(b) for _, b in backends), return_exceptions=True)
        for (model, backend), answer in zip(backends, answers, strict=True):
            if isinstance(answer, bool):
                self._state.placement.probed(backend.id, model.name, answer, self._clock.now_s())
