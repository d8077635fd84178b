"""The shared store in one process: for tests, and for `store.url: memory`, where everything is lost at exit.

Same meaning as `redis.py`, without a server: several `MemoryStore`s on one `Shared` are several replicas. Nothing can
be away here; what the outside may do wrong raises the same ValueErrors.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.tenants.vault import Vault
from gateway.domain.limit import Ask, Granted
from gateway.domain.prices import Overrides, Prices
from gateway.edges.store import overrides, verdicts
from gateway.edges.store.generations import ALIVE_LEASES, Generations
from gateway.edges.store.health import StoreHealth
from gateway.edges.store.keys import DAY_S, WIDTHS
from gateway.edges.store.recorder import SLOT_S, SlotCounts, SlotRecorder
from gateway.ports import Clock, Fleet, Slots


@dataclass(slots=True)
class Slot:
    """Totals of one slot, and when they last changed."""

    touched_wall_s: float = 0.0
    totals: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Shared:
    """What a server would hold."""

    slots: dict[tuple[int, int], Slot] = field(default_factory=dict)
    holder: str | None = None
    held_until_s: float = 0.0
    fence: int = 0
    alive: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Replica -> until when its silence is tolerated, and the generation of its configuration."""
    configs: dict[str, int] = field(default_factory=dict)
    """Digest of a configuration -> its generation."""
    published: dict[str, str] = field(default_factory=dict)
    """JSON, as it would lie in Redis: nobody shares an object with the writer."""
    overrides: dict[str, str] = field(default_factory=dict)
    audit: list[str] = field(default_factory=list)
    verdicts: dict[int, dict[str, str]] = field(default_factory=dict)
    secret: str = ""
    vaults: dict[tuple[str, str], Vault] = field(default_factory=dict)
    """By tenant and limit, both of the configuration."""


class MemoryStore:
    """`ports.Store`."""

    def __init__(self, clock: Clock, recorder: SlotRecorder, replica: str = "memory", shared: Shared | None = None) -> None:
        self._clock, self._recorder, self._replica = clock, recorder, replica
        self._shared = shared or Shared()
        self.health = StoreHealth()
        self.fleet = Fleet()
        self._generations = Generations()

    async def flush(self) -> int:
        """Write what the recorder holds; return the number of batches, 0 or 1."""
        batch, wall_s = self._recorder.take(self._recorder.numbers), self._clock.wall_s()
        for number, totals in batch.items():
            for width in WIDTHS:
                slot = self._shared.slots.setdefault((width.seconds, number * SLOT_S // width.seconds), Slot())
                slot.touched_wall_s = wall_s
                for name, amount in totals.items():
                    slot.totals[name] = slot.totals.get(name, 0) + amount
        if batch:
            self._forget(wall_s)
        self.health.last_flush_wall_s = wall_s
        return 1 if batch else 0

    async def lead(self, ttl_s: float, config_hash: str = "") -> int | None:
        """Take or renew the governor's lease; the rules are told in `lua/lead.lua`."""
        shared, now_s = self._shared, self._clock.now_s()
        for gone in [name for name, (until_s, _) in shared.alive.items() if until_s <= now_s]:
            del shared.alive[gone]
        known, is_edit = self._generations.asked(config_hash)
        newest = max(shared.configs, key=lambda digest: shared.configs[digest], default=None)
        generation = max(shared.configs.get(config_hash, 0), known)
        if generation == 0 or (is_edit and newest != config_hash):
            generation = max(generation, shared.configs.get(newest or "", 0) + 1)
        shared.configs[config_hash] = generation
        shared.alive[self._replica] = (now_s + ALIVE_LEASES * ttl_s, generation)
        generations = [g for _, g in shared.alive.values()]
        live = max(generations)
        self._generations.learned(generation)
        self.fleet = Fleet(len(generations), generation, live, sum(g < live for g in generations))
        holder = shared.holder if shared.held_until_s > now_s else None
        if generation < live:
            if holder == self._replica:
                shared.holder = None
            return None
        theirs = shared.alive.get(holder, (0.0, generation))[1] if holder else 0
        if holder not in (None, self._replica) and theirs >= generation:
            return None
        if holder != self._replica:
            shared.fence += 1
        shared.holder, shared.held_until_s = self._replica, now_s + ttl_s
        return shared.fence

    async def resign(self) -> None:
        """Give the lease back, if we hold it, and be counted no more."""
        self._shared.alive.pop(self._replica, None)
        if self._shared.holder == self._replica:
            self._shared.holder = None

    async def slots(self, from_wall_s: float) -> Slots:
        """Read all slots that may have changed since `from_wall_s`; 0 reads everything that is kept."""
        self._forget(self._clock.wall_s())
        return [(*key, dict(s.totals)) for key, s in self._shared.slots.items() if from_wall_s <= 0 or s.touched_wall_s >= from_wall_s]

    async def publish(self, prices: Prices, memory: Mapping[str, Any], board: Mapping[str, Any]) -> bool:
        """Write prices, the law's memory and the board atomically; False when the lease is not ours any more."""
        shared = self._shared
        if shared.holder != self._replica or shared.held_until_s <= self._clock.now_s() or prices.fencing_token != shared.fence:
            return False
        parts = {"prices": prices.as_json(), "memory": dict(memory), "board": dict(board)}
        shared.published = {name: json.dumps(part) for name, part in parts.items()}
        return True

    async def poll(self) -> tuple[Prices | None, Overrides, Mapping[str, Any] | None]:
        """Read published prices, overrides and board."""
        prices, board = self._read("prices"), self._read("board")
        return (Prices.of_json(prices) if prices else None), overrides.read(self._shared.overrides, self._clock.wall_s()), board

    async def memory(self) -> Mapping[str, Any] | None:
        """Read the law's memory, for a new writer's warm start."""
        return self._read("memory")

    @property
    def last_memory(self) -> Mapping[str, Any] | None:
        """The law's memory."""
        return self._read("memory")

    def unwritten(self, from_wall_s: float) -> SlotCounts:
        """Return what was booked since then and not flushed."""
        return self._recorder.held(int(from_wall_s // SLOT_S))

    async def override(self, change: Mapping[str, Any]) -> None:
        """Write or clear a pin or a freeze; audited. The forms of a change and its ValueErrors: `overrides.py`."""
        wall_s = self._clock.wall_s()
        name, text = overrides.written(change, wall_s)
        if not name:
            self._shared.overrides.clear()
        elif text:
            self._shared.overrides[name] = text
        else:
            self._shared.overrides.pop(name, None)
        self._shared.audit.insert(0, overrides.audited(change, wall_s))
        del self._shared.audit[overrides.AUDIT_MAX :]

    async def audit(self, lines_max: int = 100) -> Sequence[Mapping[str, Any]]:
        """Read who forced what and when, newest first."""
        return [json.loads(line) for line in self._shared.audit[:lines_max]]

    async def secret(self, proposed: str) -> str:
        """Return the secret that all replicas share: the first one that was ever proposed."""
        self._shared.secret = self._shared.secret or proposed
        return self._shared.secret

    async def feedback(self, request_id: str, tenant: str, verdict: Mapping[str, Any], wall_s: float) -> bool:
        """Record a verdict on an answer; return whether it is the first on that request. Raises: ValueError when it is too large."""
        number = int(wall_s // DAY_S)
        day = self._shared.verdicts.setdefault(number, {})
        name, text = verdicts.named(request_id, tenant), verdicts.written(tenant, verdict)
        is_first = name not in day
        if not is_first or len(day) < verdicts.DAY_VERDICTS_MAX:
            day[name] = text
        for old in [n for n in self._shared.verdicts if (n + 1) * DAY_S + verdicts.KEPT_S < wall_s]:
            del self._shared.verdicts[old]
        return is_first and name in day

    async def grant(self, asks: Sequence[Ask]) -> Sequence[Granted]:
        """Settle and grant limits of one tenant."""
        now_s, day, said = self._clock.now_s(), int(self._clock.wall_s() // DAY_S), []
        for ask in asks:
            vault = self._shared.vaults.setdefault((ask.limit.tenant, ask.limit.name), Vault("memory"))
            said.append(vault.answer(ask, f"{self._replica}.{ask.lease}", now_s, day))
        return said

    async def close(self) -> None:
        """Flush and let go."""
        await self.flush()
        await self.resign()

    def _read(self, part: str) -> dict[str, Any] | None:
        text = self._shared.published.get(part)
        return json.loads(text) if text else None

    def _forget(self, wall_s: float) -> None:
        kept_s = {w.seconds: w.kept_s for w in WIDTHS}
        for key in [k for k, s in self._shared.slots.items() if s.touched_wall_s < wall_s - kept_s[k[0]]]:
            del self._shared.slots[key]
