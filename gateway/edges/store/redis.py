"""The shared store on a Redis or Valkey server: counts exactly once, one fenced writer, prices for everybody.

Every call is one or a few short round trips with a timeout, none but `grant` is on a request's path, and every trouble is
`StoreAway` with a reason for humans. While the store is away nothing is lost: the recorder keeps booking, one sealed
batch waits whose fate is unknown, and the connection is tried again after a short backoff. All keys of a script lie on
one hash slot; only `keys.py` builds them. What this file rests on: `journal.py` (exactly once), `lua/*.lua` (atomic).
"""

import asyncio
import json
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import takewhile
from typing import Any, cast

from redis.exceptions import ReadOnlyError, RedisError

from gateway.domain.limit import Ask, Granted
from gateway.domain.prices import Overrides, Prices
from gateway.edges.store import leases, overrides, verdicts
from gateway.edges.store.client import connect
from gateway.edges.store.generations import ALIVE_LEASES, CONFIGS_KEPT, Generations
from gateway.edges.store.health import StoreHealth
from gateway.edges.store.journal import Batch, Journal
from gateway.edges.store.keys import DAY_S, SCHEMA, SEQUENCE_KEPT_S, WIDTHS, ControlKeys, FeedbackKeys, GroupKeys
from gateway.edges.store.options import StoreOptions
from gateway.edges.store.recorder import SLOT_S, SlotCounts, SlotRecorder
from gateway.edges.store.scripts import Script
from gateway.edges.store.trouble import TROUBLES, address_of, is_refusal, reason_of
from gateway.ports import Clock, Fleet, Slots, StoreAway

SCRIPTS = ("flush", "changed", "read", "compare", "lead", "resign", "publish", "override", "feedback", "grant")
FLEET = "fleet"
"""The group of the counters of fleet and routes."""
SLOTS_PER_BATCH = 64
"""Bounds one flush script to a few milliseconds of the server, also after an hour's outage."""
ROUNDS_MAX = 10_000
"""Batches tried in one flush; only a store that contradicts itself gets there."""
SLOTS_PER_READ = 100
"""Slots read by one script: about 3 ms of the server each, so that others get their turn in a full read."""
BACKOFF_S = (0.05, 0.1, 0.2, 0.5)
"""Real seconds without a further try, after the first, second, ... failure in a row."""
MEMORY_EVERY_S = 10.0
CURSOR_MARGIN_S = 2.0
"""Changes are listed by the server's clock, which may be set back a little."""
AHEAD_S = 2.0 * SLOT_S
"""How far a slot may begin ahead of the server's clock, server seconds: one slot, and one for what NTP leaves."""
COMPARE_EVERY_S = 60.0
SETTLED_S = 30.0
"""A slot is compared with its parts when it has been closed for this long."""


class RedisStore:
    """`ports.Store`.

    url: the server's, with credentials. replica: unique for every start of every process (boot id): it numbers this
    process's batches and holds the governor's lease. Raises ValueError for a URL that `connect` refuses.
    """

    def __init__(self, url: str, options: StoreOptions, clock: Clock, recorder: SlotRecorder, replica: str) -> None:
        self._url, self._timeout_s, self._clock = url, options.timeout, clock
        self._recorder, self._replica = recorder, replica
        self._client = connect(url, options.timeout)
        self._scripts = {name: Script(name) for name in SCRIPTS}
        self._keys, self._journal = GroupKeys(FLEET), Journal()
        self._flushing = asyncio.Lock()
        self._health = StoreHealth()
        self._failures, self._retry_at_s, self._memory_at_s, self._compare_at_s = 0, -math.inf, -math.inf, -math.inf
        self._run, self._memory_text = "", ""
        self._generations = Generations()
        self.fleet = Fleet()
        self._offset_s = 0.0
        """The server's clock less ours, as the last flush told."""
        self._cursors: deque[tuple[float, float]] = deque(maxlen=1024)

    @property
    def health(self) -> StoreHealth:
        """How the store is doing, now."""
        self._health.pending_batches = self._journal.pending + -(-self._recorder.slots_held // SLOTS_PER_BATCH)
        self._health.rollbacks, self._health.lost_batches = self._journal.rollbacks, self._journal.lost_batches
        return self._health

    @property
    def address(self) -> str:
        """The server, without credentials."""
        return address_of(self._url)

    async def flush(self) -> int:
        """Write what the recorder holds, exactly once; return the number of batches acknowledged."""
        async with self._flushing:
            acknowledged, was_heard = 0, False
            due = self._recorder.numbers  # What is booked later waits for the next flush, or this one would not end.
            for _ in range(ROUNDS_MAX):
                waiting = self._journal.next()
                if waiting is None and due:
                    if slots := self._recorder.take(due[:SLOTS_PER_BATCH]):
                        self._journal.seal(slots)
                    due = due[SLOTS_PER_BATCH:]
                    continue
                if waiting is None and (was_heard or self._journal.is_empty):
                    break
                # Nothing to write: ask all the same, for what was acknowledged may have been rolled back since.
                last = await (self._write(*waiting) if waiting else self._last_applied())
                acknowledged += self._journal.heard(last, asyncio.get_running_loop().time())
                was_heard = True
            self._health.last_flush_wall_s = self._clock.wall_s()
            return acknowledged

    def unwritten(self, from_wall_s: float) -> SlotCounts:
        """Return what was booked since then and the store has not, by slot of ten seconds; one batch may be in doubt."""
        first, own = int(from_wall_s // SLOT_S), dict[int, dict[str, int]]()
        for slots in (*self._journal.unacknowledged(), self._recorder.held(first)):
            for number, totals in slots.items():
                into = own.setdefault(number, {})
                for name, amount in totals.items():
                    into[name] = into.get(name, 0) + amount
        return {number: totals for number, totals in own.items() if number >= first}

    async def lead(self, ttl_s: float, config_hash: str = "") -> int | None:
        """Take or renew the governor's lease; return its fencing token, None while somebody else is to govern."""
        c = ControlKeys
        keys = (c.lease, c.fence, c.published, c.alive, c.generations, c.configs)
        ttl_ms = max(1, round(self._clock.real_s(ttl_s) * 1000))
        known, is_edit = self._generations.asked(config_hash)
        args = (self._replica, ttl_ms, round(ALIVE_LEASES * ttl_ms), config_hash, known, int(is_edit), CONFIGS_KEPT)
        token, *fleet = await self._run_script("lead", keys, args)
        self.fleet = Fleet(*map(int, fleet))
        self._generations.learned(self.fleet.generation)
        return int(token) if token != "" else None

    async def resign(self) -> None:
        """Give the lease back, if we hold it, and be counted no more."""
        await self._run_script("resign", (ControlKeys.lease, ControlKeys.alive, ControlKeys.generations), (self._replica,))

    async def slots(self, from_wall_s: float) -> Slots:
        """Read all slots that may have changed since `from_wall_s`; 0 reads everything that is kept.

        Late verdicts and replays change old slots, so the server keeps when each slot was last touched, by its own
        clock. Which moment of that clock `from_wall_s` was is known from our own earlier reads; where it is not, or
        where the server has restarted since, everything is read.
        """
        wall_s, since_s = self._clock.wall_s(), self._server_time(from_wall_s)
        now_text, run, *numbers = await self._run_script("changed", self._keys.touched, (since_s,), is_write=False)
        if run != self._run:
            self._cursors.clear()
            self._run = run
            if since_s:
                now_text, run, *numbers = await self._run_script("changed", self._keys.touched, (0,), is_write=False)
        wanted = [(width.seconds, int(n)) for width, found in zip(WIDTHS, numbers, strict=True) for n in found]
        read: list[tuple[int, int, Mapping[str, int]]] = []
        for at in range(0, len(wanted), SLOTS_PER_READ):
            part = wanted[at : at + SLOTS_PER_READ]
            totals = await self._run_script("read", [self._keys.slot(*slot) for slot in part], (), is_write=False)
            for (width_s, number), flat in zip(part, totals, strict=True):
                if flat:  # Else it expired since it was listed.
                    read.append((width_s, number, self._counted(flat)))
        self._cursors.append((wall_s, float(now_text)))
        await self._compare(float(now_text))
        return read

    async def publish(self, prices: Prices, memory: Mapping[str, Any], board: Mapping[str, Any]) -> bool:
        """Write prices, the law's memory and the board atomically; False when the lease is not ours any more."""
        texts = [json.dumps(part) for part in (prices.as_json(), dict(memory), dict(board))]
        keys = (ControlKeys.published, ControlKeys.lease, ControlKeys.fence)
        return bool(await self._run_script("publish", keys, (prices.fencing_token, self._replica, *texts)))

    async def poll(self) -> tuple[Prices | None, Overrides, Mapping[str, Any] | None]:
        """Read published prices, overrides and board in one round trip; now and then the law's and the server's memory as well."""
        now_s = asyncio.get_running_loop().time()
        is_due = now_s >= self._memory_at_s
        async with self._asking(is_write=False):
            pipe = self._client.pipeline(transaction=False)
            pipe.hmget(ControlKeys.published, ["prices", "board", *(["memory"] if is_due else [])])
            pipe.hgetall(ControlKeys.overrides)
            if is_due:
                pipe.info("memory")
                self._memory_at_s = now_s + MEMORY_EVERY_S
            published, forced, *info = await pipe.execute(raise_on_error=False)
            for answer in (published, forced):
                if isinstance(answer, Exception):
                    raise answer
            if info and not isinstance(info[0], Exception):  # INFO may be forbidden; then the fill is not shown.
                self._health.memory_used_bytes = info[0].get("used_memory")
                self._health.memory_max_bytes = info[0].get("maxmemory") or None
            prices, board = (text and json.loads(text) for text in published[:2])
            if is_due:
                self._memory_text = published[2] or ""
        try:
            return (Prices.of_json(prices) if prices else None), overrides.read(forced, self._clock.wall_s()), board
        except (ValueError, KeyError, TypeError) as exc:
            raise self._away(f"store {self.address} holds prices or overrides that this build cannot read: {exc}") from exc

    async def memory(self) -> Mapping[str, Any] | None:
        """Read the law's memory, for a new writer's warm start."""
        async with self._asking(is_write=False):
            text = await cast(Awaitable[str | None], self._client.hget(ControlKeys.published, "memory"))
            return cast(Mapping[str, Any], json.loads(text)) if text else None

    @property
    def last_memory(self) -> Mapping[str, Any] | None:
        """The law's memory as it was last polled."""
        return cast(Mapping[str, Any], json.loads(self._memory_text)) if self._memory_text else None

    async def override(self, change: Mapping[str, Any]) -> None:
        """Write or clear a pin or a freeze; audited. The forms of a change and its ValueErrors: `overrides.py`."""
        wall_s = self._clock.wall_s()
        args = (wall_s, *overrides.written(change, wall_s), overrides.audited(change, wall_s), overrides.AUDIT_MAX)
        await self._run_script("override", (ControlKeys.overrides, ControlKeys.audit), args)

    async def audit(self, lines_max: int = 100) -> Sequence[Mapping[str, Any]]:
        """Read who forced what and when, newest first."""
        async with self._asking(is_write=False):
            lines = await cast(Awaitable[list[str]], self._client.lrange(ControlKeys.audit, 0, lines_max - 1))
            return [json.loads(line) for line in lines]

    async def secret(self, proposed: str) -> str:
        """Return the secret that all replicas share: the first one that was ever proposed."""
        async with self._asking(is_write=True):
            await self._client.set(ControlKeys.secret, proposed, nx=True)
            return str(await cast(Awaitable[str | None], self._client.get(ControlKeys.secret)) or proposed)

    async def feedback(self, request_id: str, tenant: str, verdict: Mapping[str, Any], wall_s: float) -> bool:
        """Record a verdict on an answer; return whether it is the first on that request. Raises: ValueError when it is too large."""
        key = FeedbackKeys.day(int(wall_s // DAY_S))
        args = (verdicts.named(request_id, tenant), verdicts.written(tenant, verdict), verdicts.DAY_VERDICTS_MAX, verdicts.KEPT_S)
        return int(await self._run_script("feedback", (key,), args)) == 1

    async def grant(self, asks: Sequence[Ask]) -> Sequence[Granted]:
        """Settle and grant limits of one tenant, in one call."""
        keys, args = leases.call(asks, self._replica, self._clock)
        return leases.answers(await self._run_script("grant", keys, args))

    async def close(self) -> None:
        """Flush what can be flushed, resign and let go; never raises for the store's sake."""
        try:
            await self.flush()
            await self.resign()
        except StoreAway:
            pass
        await self._client.aclose()

    async def _write(self, batch: Batch, believed: int) -> int:
        """Send one batch, for a store whose last one is `believed`; return the last batch that the store has now."""
        keys = [self._keys.sequence(self._replica), self._keys.schema, *self._keys.touched]
        wall_s, ahead_s, slots = self._clock.wall_s() + self._offset_s, AHEAD_S, batch.slots
        if self._clock.speed == 1.0:
            slots = within(slots, wall_s)
        else:  # A load test's clock runs away from every server's.
            ahead_s = 1e12
        args: list[str | int | float] = [batch.seq, believed, SEQUENCE_KEPT_S, *(w.kept_s for w in WIDTHS)]
        args += (SCHEMA, max(slots, default=0) * SLOT_S, ahead_s)
        for index, width in enumerate(WIDTHS, start=1):
            for number, totals in _widened(slots, width.seconds).items():
                if (number + 1) * width.seconds < wall_s - width.kept_s and width is not WIDTHS[-1]:
                    continue  # Nobody looks back that far at this width.
                keys.append(self._keys.slot(width.seconds, number))
                args += (index, number, len(totals))
                for entry in totals.items():
                    args += entry
        last, now_text, before = await self._run_script("flush", keys, args)
        if self._clock.speed == 1.0:
            self._offset_s = self._health.clock_offset_s = float(now_text) - self._clock.wall_s()
        self._health.schema_before = before or None
        return int(last)

    async def _compare(self, server_s: float) -> None:
        """Now and then, compare the last settled slot of five minutes with its parts of ten seconds."""
        now_s, (fine, wide) = asyncio.get_running_loop().time(), (w.seconds for w in WIDTHS[:2])
        if now_s < self._compare_at_s:
            return
        self._compare_at_s = now_s + COMPARE_EVERY_S
        number, parts = int((server_s - SETTLED_S) // wide) - 1, wide // fine
        keys = [self._keys.slot(wide, number), *(self._keys.slot(fine, number * parts + i) for i in range(parts))]
        differing = await self._run_script("compare", keys, (), is_write=False)
        if differing:
            self._health.mismatches += 1
            field, fine_total, wide_total = differing[:3]
            self._health.last_mismatch = (
                f"{len(differing) // 3} counters of the five minutes from {number * wide} differ from the sum of their slots of ten "
                f"seconds, for example {field}: {wide_total} against {fine_total}: the server lost keys (eviction? a deleted key?)"
            )

    def _counted(self, flat: Sequence[str]) -> Mapping[str, int]:
        """Return fields and amounts of one slot."""
        try:
            return dict(zip(flat[::2], map(int, flat[1::2]), strict=True))
        except ValueError as exc:
            raise self._away(f"store {self.address} holds a counter that is no number: {exc}") from exc

    async def _last_applied(self) -> int:
        async with self._asking(is_write=False):
            return int(await cast(Awaitable[str | None], self._client.get(self._keys.sequence(self._replica))) or 0)

    def _server_time(self, from_wall_s: float) -> float:
        """Return a moment of the server's clock that is not after our `from_wall_s`; 0 when none is known."""
        if from_wall_s <= 0:
            return 0.0
        before = list(takewhile(lambda cursor: cursor[0] <= from_wall_s, self._cursors))
        return max(0.0, before[-1][1] - CURSOR_MARGIN_S) if before else 0.0

    async def _run_script(self, name: str, keys: Sequence[str], args: Sequence[str | int | float], is_write: bool = True) -> Any:
        async with self._asking(is_write):
            return await self._scripts[name].run(self._client, keys, args)

    @asynccontextmanager
    async def _asking(self, is_write: bool) -> AsyncIterator[None]:
        """Bound a call in time, and tell its troubles as `StoreAway`."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._retry_at_s:
            raise StoreAway(self._health.last_error or "store is away")
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TROUBLES as exc:
            refused = is_refusal(exc)
            if not refused:
                self._retry_at_s = loop.time() + BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
                self._failures += 1
                self._cursors.clear()
            if isinstance(exc, ReadOnlyError):  # A failover: the address may lead to the new primary.
                await self._drop_connections()
            raise self._away(reason_of(exc, self._url, self._timeout_s), refused) from exc
        self._failures = 0
        self._health.answered(is_write)

    async def _drop_connections(self) -> None:
        try:
            await self._client.connection_pool.disconnect(inuse_connections=False)
        except (RedisError, OSError):
            pass

    def _away(self, reason: str, is_refusal: bool = True) -> StoreAway:
        self._health.troubled(reason, self._clock.wall_s(), is_refusal)
        return StoreAway(reason)


def within(slots: SlotCounts, server_s: float) -> SlotCounts:
    """Return slots of ten seconds that the server's rings can hold: no total is changed, only its place.

    What lies ahead of the server's clock goes into its present slot, what is older than its longest ring into that ring's oldest.
    """
    present, oldest = int(server_s // SLOT_S), int((server_s - WIDTHS[-1].kept_s) // SLOT_S)
    if all(oldest <= number <= present + 1 for number in slots):
        return slots
    placed: dict[int, dict[str, int]] = {}
    for number, totals in slots.items():
        into = placed.setdefault(present if number > present + 1 else max(number, oldest), {})
        for name, amount in totals.items():
            into[name] = into.get(name, 0) + amount
    return placed


def _widened(slots: Mapping[int, Mapping[str, int]], width_s: int) -> Mapping[int, Mapping[str, int]]:
    """Return slots of ten seconds summed into slots of `width_s`."""
    if width_s == SLOT_S:
        return slots
    wide: dict[int, dict[str, int]] = {}
    for number, totals in slots.items():
        into = wide.setdefault(number * SLOT_S // width_s, {})
        for name, amount in totals.items():
            into[name] = into.get(name, 0) + amount
    return wide
