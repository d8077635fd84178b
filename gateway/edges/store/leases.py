"""Leases: how units of shared limits come into this process, and how they go back.

One call per tenant at a time; requests that come meanwhile wait for the next one, which asks for all of them, and get their
units in the order in which they came. A request waits `GRANT_S` at most, whatever the store does: then, and until a call in the
background is answered again, safe shares replace the store (`core/tenants/lease.py`).
"""

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.core.tenants.lease import Lease
from gateway.core.tenants.limits import Draw, LimitState
from gateway.core.tenants.vault import GRACE_S, LEASE_S, SHARE
from gateway.domain.decision import Shed
from gateway.domain.limit import Ask, Granted
from gateway.edges.store.keys import DAY_S, LimitKeys
from gateway.ports import Clock, StoreAway

GRANT_S = 0.045
"""Real seconds that a request waits for a grant: 50 ms with what the loop adds."""
AWAY_S = 0.25
"""Clock seconds between calls while the store is away."""
TENANTS_PER_ROUND = 256
"""Bounds one round of refills to about 0.1 s of a store that answers in 0.3 ms."""
KEPT_S = 2 * DAY_S
"""How long a limit that nobody asks about is remembered: longer than the day that its dollars are counted for."""


class Granter(Protocol):
    """The part of a store that is needed here."""

    async def grant(self, asks: Sequence[Ask]) -> Sequence[Granted]:
        """Settle and grant limits of one tenant. Raises: StoreAway."""
        ...


class Waiter:
    """One request that waits for units."""

    __slots__ = ("answer", "draw", "is_answered")

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.is_answered = False
        self.answer: Shed | None = None


class LeaseDesk:
    """Asks the store on behalf of one process's `LimitState`."""

    def __init__(self, clock: Clock, store: Granter, limits: LimitState) -> None:
        limits.share_with_others()
        self._clock, self._store, self._limits = clock, store, limits
        self._waiting: dict[str, list[Waiter]] = {}
        self._flying: dict[str, asyncio.Event] = {}
        self._tried_s = -math.inf
        self._trouble: str | None = None

    async def fetch(self, draw: Draw) -> Shed | None:
        """Ask the store once for what a request lacks, take it, and return the limit that refuses."""
        tenant, waiter, leases = draw.lacking[0][0].limit.tenant, Waiter(draw), [lease for lease, _ in draw.lacking]
        waiting = self._waiting.setdefault(tenant, [])
        waiting.append(waiter)
        for lease in leases:
            lease.pending += 1
        try:
            async with asyncio.timeout(GRANT_S):
                while not waiter.is_answered and not self._limits.is_away:
                    flying = self._flying.get(tenant)
                    if flying is not None:
                        await flying.wait()
                    else:
                        await self._call(tenant)
        except (StoreAway, TimeoutError):
            # Perhaps only this loop was late: the next round in the background finds out, and does not wait its pause.
            self._limits.is_away, self._tried_s = True, -math.inf
        finally:
            for lease in leases:
                lease.pending -= 1
            waiting.remove(waiter)
            if not waiting and self._waiting.get(tenant) is waiting:
                del self._waiting[tenant]
        return waiter.answer if waiter.is_answered else self._take(draw)

    async def refill(self) -> None:
        """Fetch what runs low, renew what is held and give back what is not used. Raises: StoreAway."""
        limits, now_s = self._limits, self._clock.now_s()
        if limits.is_away and now_s - self._tried_s < AWAY_S:
            if self._trouble is not None:  # Not a round that worked: the duty's trouble goes on.
                raise StoreAway(self._trouble)
            return
        self._tried_s = now_s
        tenants = by_tenant(limits.due(now_s))
        for number, (tenant, leases) in enumerate(tenants.items()):
            if tenant in self._flying or number >= TENANTS_PER_ROUND:
                limits.again(leases)
                continue
            try:
                await self._call(tenant, leases)
            except StoreAway as away:
                limits.is_away, self._trouble = True, str(away)
                for others in list(tenants.values())[number:]:
                    limits.again(others)
                raise
        if not limits.is_away:
            self._trouble = None

    async def give_back(self) -> None:
        """Settle everything and give back what is held: this process asks no more. Raises: StoreAway."""
        for leases in by_tenant(self._limits.held()).values():
            now_s = self._clock.now_s()
            asks = [lease.ask(now_s, is_leaving=True) for lease in leases]
            self._hear(leases, asks, await self._store.grant(asks), now_s)

    async def _call(self, tenant: str, more: Iterable[Lease] = ()) -> None:
        """Ask for everybody who waits now, and for leases that are due."""
        event = self._flying[tenant] = asyncio.Event()
        try:
            covered = [waiter for waiter in self._waiting.get(tenant, ()) if not waiter.is_answered]
            needs: dict[Lease, list[int]] = {lease: [] for lease in more}
            for waiter in covered:
                for lease, units in waiter.draw.lacking:
                    needs.setdefault(lease, []).append(max(units, 1))
            now_s, leases = self._clock.now_s(), list(needs)
            asks = [lease.ask(now_s, sum(units), max(units, default=0), is_wanting=True) for lease, units in needs.items()]
            self._hear(leases, asks, await self._store.grant(asks), now_s)
            for waiter in covered:
                waiter.answer, waiter.is_answered = self._take(waiter.draw), True
        finally:
            del self._flying[tenant]
            event.set()

    def _hear(self, leases: Sequence[Lease], asks: Sequence[Ask], answers: Sequence[Granted], asked_s: float) -> None:
        heard = zip(leases, asks, answers, strict=True)
        self._limits.hear(heard, asked_s, self._clock.now_s(), self._clock.wall_s())

    def _take(self, draw: Draw) -> Shed | None:
        answer = self._limits.take(draw, self._clock.now_s(), self._clock.wall_s(), was_asked=True)
        assert answer is None or isinstance(answer, Shed)
        return answer


def by_tenant(leases: Iterable[Lease]) -> dict[str, list[Lease]]:
    """Return leases by their tenants, in order."""
    found: dict[str, list[Lease]] = {}
    for lease in leases:
        found.setdefault(lease.limit.tenant, []).append(lease)
    return found


def call(asks: Sequence[Ask], replica: str, clock: Clock) -> tuple[list[str], list[str | int | float]]:
    """Return keys and arguments of `grant.lua`; the server's seconds are real ones."""
    keys: list[str] = []
    args: list[str | int | float] = [
        round(clock.real_s(LEASE_S) * 1000), round(clock.real_s(GRACE_S) * 1000), KEPT_S * 1000, SHARE,
    ]  # fmt: skip
    for ask in asks:
        limit = ask.limit
        keys += LimitKeys(limit.tenant).of(limit.name)
        args += (
            limit.amount, limit.per_s * clock.speed, ask.seq, ask.heard, ask.used, ask.carried, ask.born, ask.need, ask.least,
            ask.want, ask.floor, int(ask.is_leaving), f"{replica}.{ask.lease}",
        )  # fmt: skip
    return keys, args


def answers(said: Iterable[Sequence[str]]) -> list[Granted]:
    """Return what `grant.lua` said."""
    return [Granted(int(granted), int(held), float(level), int(holders), born) for granted, held, level, holders, born in said]
