"""Limits: what tenants may still use; the only budgets that refuse.

Theory: requests and tokens per minute are token buckets that hold one minute's worth and fill evenly, so over any T
seconds at most limit * (1 + T/60) is granted. Tokens and dollars are taken as estimates and settled with what was
used; a bucket may fall below zero by that and is refilled before anything else is granted. A request that alone is
larger than a full bucket is granted by a full one, and its tenant then waits for the debt. Dollars are counted per day
of UTC, since that is what a bill shows.

All limits of a request are looked at before anything is taken: a refusal uses nothing up. Retry-After is exact: when the
bucket will hold enough if nobody else takes from it, or midnight.

Who holds the buckets: the store, for all replicas, and this process takes from leases of theirs (`lease.py`). Where no
lease has enough and the store may have, `take` says LACKING, and the caller asks for all of it with one call (`asks`,
`hear`) and tries again. Nobody overtakes those who wait. Without `share_with_others` this process has the buckets itself
(tests, simulation), every call is answered at once, and nothing is ever lacking.

Bounded by the limits of the configuration (`retain`) and `LEASES_MAX`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from math import ceil
from typing import Final

from gateway.core.tenants.lease import DAY_S, Lease
from gateway.core.tenants.vault import LEASE_S, Vault
from gateway.domain.decision import Shed
from gateway.domain.errors import Reason
from gateway.domain.event import NANO
from gateway.domain.limit import Ask, Granted, Limit, LimitKind

LEASES_MAX = 100_000
OWN = "own"
"""Holder's name where this process has the buckets itself."""
REASONS = {LimitKind.REQUESTS: Reason.LIMIT_REQUESTS, LimitKind.TOKENS: Reason.LIMIT_TOKENS, LimitKind.USD: Reason.LIMIT_USD}
NEWS_S = (0.25, 5.0)
"""How old the news of an exhausted limit may grow while requests are refused, seconds: an eighth of the wait, within these. Units
that others give back are seen after that."""
NEWS_PART = 0.125
AWAY_WAIT_S = 5.0
"""Longest Retry-After while the store is away: it may be back, and then the whole limit counts again, not this replica's share."""
REFUSED_S = 10.0
"""News of an exhausted limit are asked for while it refused something this lately."""
LOOK_EVERY_S = 1.0
"""How often all open leases are looked through for those to be renewed, or given back."""


class Lacking(Enum):
    """The third answer to a request: the store has to be asked."""

    LACKING = "lacking"


LACKING: Final = Lacking.LACKING


class Draw:
    """What one request takes from its limits."""

    __slots__ = ("is_taken", "lacking", "needs", "shares")

    def __init__(self, needs: list[tuple[Lease, int]]) -> None:
        self.needs = needs
        self.is_taken = False
        self.lacking: list[tuple[Lease, int]] = []
        """Leases that the store is to be asked about, and the units waited for."""
        self.shares: tuple[Lease, ...] = ()
        """Leases whose safe share was used in place of their balance."""


class LimitState:
    """All leases of this process; survives a config swap."""

    def __init__(self) -> None:
        self._leases: dict[tuple[str, str], Lease] = {}
        self._vaults: dict[tuple[str, str], Vault] | None = {}
        self._low: dict[Lease, None] = {}
        """Leases to be refilled; a dict keeps the order."""
        self._open: dict[Lease, None] = {}
        """Leases that the store may be owed a word about, so that idle tenants are not looked through."""
        self._starved: dict[Lease, tuple[float, float]] = {}
        """Exhausted leases: when they last refused, and how long the news of them may be used."""
        self._looked_s, self._wall_0, self._made = 0.0, 0.0, 0
        self.is_away = False
        """Whether the store is; then safe shares replace it."""
        self.holders = 1
        """Replicas, as the limit heard of last named them."""
        self.refused = dict.fromkeys(LimitKind, 0)
        """Requests that limits of each kind refused, or sent to another model."""

    def share_with_others(self) -> None:
        """Take from leases that somebody fetches from the shared store, from now on."""
        self._vaults = None

    # -- one request -----------------------------------------------------------------------------------------------

    def draw(self, limits: Sequence[Limit], tokens: int, usd: float, now_s: float) -> Draw:
        """Return what a request takes: itself, its estimated tokens and dollars."""
        return Draw([(self._lease(limit, now_s), units_of(limit, tokens, usd)) for limit in limits])

    def take(self, draw: Draw, now_s: float, wall_s: float, was_asked: bool = False) -> Shed | Lacking | None:
        """Take from all limits, or say which one refuses, or that the store has to be asked.

        Args:
            wall_s: Unix seconds, for the day of dollar limits.
            was_asked: the store has just been asked for this draw: whoever waits is not waited for, and what is not
                there now is refused.
        """
        self._wall_0 = wall_s - now_s
        day = int(wall_s // DAY_S)
        waits = not was_asked and not self.is_away
        short = [n for n in draw.needs if not n[0].has(n[1], now_s) or (waits and n[0].pending)]
        if not short:
            self._commit(draw, (), now_s, day)
            return None
        if self._vaults is not None:
            self._ask_own(short, now_s, day)
            lacking = [n for n in short if not n[0].has(n[1], now_s)]
            if not lacking:
                self._commit(draw, (), now_s, day)
                return None
            self._leave(short)
            return self._refuse(lacking, now_s, wall_s)
        if self.is_away:
            return self._take_shares(draw, short, now_s, wall_s, day)
        if was_asked:
            self._leave(draw.lacking)
            return self._refuse(short, now_s, wall_s)
        empty = [n for n in short if n[0].left(now_s, day) + max(n[0].balance, 0) < n[0].needed(n[1])]
        if empty:
            return self._refuse(empty, now_s, wall_s)
        draw.lacking = short
        return LACKING

    def move(self, draw: Draw, limits: Sequence[Limit], model: str, tokens: int, usd: float, now_s: float, was_sent: bool) -> bool:
        """Let a draw follow its request to another model, if what that model's own limits ask for is at hand.

        Args:
            limits: of the request with the new model.
            was_sent: whether the model that it leaves was called: then that call still counts as a request to it.
        """
        taken = {lease for lease, _ in draw.needs}
        more = Draw([n for n in self.draw([m for m in limits if m.model == model], tokens, usd, now_s).needs if n[0] not in taken])
        if more.needs and self.take(more, now_s, self._wall_0 + now_s, was_asked=True) is not None:
            return False
        for need in [n for n in draw.needs if n[0].limit.model not in (None, model)]:
            draw.needs.remove(need)
            if not (was_sent and need[0].limit.kind is LimitKind.REQUESTS):
                self._correct(draw, need[0], -need[1])
        draw.needs += more.needs
        draw.shares += more.shares
        return True

    def settle(self, draw: Draw, tokens: int, usd: float) -> None:
        """Correct what `take` estimated by what was used; a request counts as one whatever it used."""
        if draw.is_taken:
            for i, (lease, taken) in enumerate(draw.needs):
                used = units_of(lease.limit, tokens, usd)
                draw.needs[i] = (lease, used)
                self._correct(draw, lease, used - taken)

    def undo(self, draw: Draw) -> None:
        """Give back all that was taken: the request was not sent."""
        if draw.is_taken:
            draw.is_taken = False
            for lease, taken in draw.needs:
                self._correct(draw, lease, -taken)

    # -- with the store --------------------------------------------------------------------------------------------

    def due(self, now_s: float) -> list[Lease]:
        """Return the leases to be asked about in the background: low, exhausted with old news, or in need of renewal."""
        found = dict.fromkeys(self._low)
        self._low.clear()
        for lease, (refused_s, news_s) in list(self._starved.items()):
            if now_s - refused_s > REFUSED_S:
                del self._starved[lease]
            elif now_s - lease.asked_s >= news_s:
                found[lease] = None
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            for lease in list(self._open):
                if not lease.is_open:
                    del self._open[lease]
                elif self.is_away or now_s >= lease.until_s - LEASE_S / 2:
                    found[lease] = None
        if self.is_away and not found:  # Something has to find out that the store is back.
            found = dict.fromkeys(list(self._leases.values())[:1])
        return [lease for lease in found if not lease.pending]

    def held(self) -> list[Lease]:
        """Return all leases that the store is owed a word about: for the end of the process."""
        return [lease for lease in self._leases.values() if lease.is_open]

    def hear(self, answers: Iterable[tuple[Lease, Ask, Granted]], asked_s: float, now_s: float, wall_s: float) -> None:
        """Take in the store's answers; it is there."""
        self.is_away = False
        for lease, ask, granted in answers:
            lease.hear(granted, ask, asked_s, now_s, int(wall_s // DAY_S))
            self._open[lease] = None
            self.holders = max(granted.holders, 1)
            if granted.level >= 1 or lease.balance > 0:
                self._starved.pop(lease, None)

    def again(self, leases: Iterable[Lease]) -> None:
        """Remember leases whose call failed."""
        self._low.update(dict.fromkeys(leases))

    def retain(self, names: Mapping[str, Collection[str]]) -> None:
        """Forget limits that the configuration does not name any more. names: of limits, by tenant."""
        kept = {key: lease for key, lease in self._leases.items() if key[1] in names.get(key[0], ())}
        gone = self._leases.keys() - kept.keys()
        for key in gone:
            lease = self._leases[key]
            self._low.pop(lease, None)
            self._open.pop(lease, None)
            self._starved.pop(lease, None)
            if self._vaults is not None:
                self._vaults.pop(key, None)
        self._leases = kept

    # -- what clients and operators see ------------------------------------------------------------------------------

    @property
    def leases(self) -> Collection[Lease]:
        """All limits that were asked for, the first first."""
        return self._leases.values()

    def standing(self, limits: Sequence[Limit], now_s: float, wall_s: float) -> list[tuple[LimitKind, int, int, float]]:
        """Return kind, limit, what is left, and seconds until it is whole again, of the tightest limit of each kind."""
        day = int(wall_s // DAY_S)
        tightest: dict[LimitKind, tuple[Lease, float]] = {}
        for limit in limits:
            lease = self._lease(limit, now_s)
            left = lease.remaining(now_s, day)
            known = tightest.get(limit.kind)
            if known is None or left < known[1]:
                tightest[limit.kind] = (lease, left)
        return [(kind, lease.limit.amount, int(left), lease.whole_s(left, wall_s)) for kind, (lease, left) in tightest.items()]

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _lease(self, limit: Limit, now_s: float) -> Lease:
        key = (limit.tenant, limit.name)
        lease = self._leases.get(key)
        if lease is None:
            self._made += 1
            lease = self._leases[key] = Lease(limit, now_s, self._made)
            if len(self._leases) > LEASES_MAX:
                del self._leases[next(iter(self._leases))]
        lease.limit = limit
        return lease

    def _commit(self, draw: Draw, shares: tuple[Lease, ...], now_s: float, day: int) -> None:
        draw.is_taken, draw.shares = True, shares
        for lease, units in draw.needs:
            if lease in shares:
                lease.take_share(units, now_s)
            else:
                lease.take(units, now_s, day)
                self._note(lease)

    def _note(self, lease: Lease) -> None:
        if self._vaults is None:
            self._open[lease] = None
            if lease.is_low:
                self._low[lease] = None

    def _ask_own(self, short: Iterable[tuple[Lease, int]], now_s: float, day: int) -> None:
        """Ask the buckets of this process."""
        assert self._vaults is not None
        for lease, units in short:
            key = (lease.limit.tenant, lease.limit.name)
            vault = self._vaults.get(key)
            if vault is None:
                vault = self._vaults[key] = Vault(OWN)
            ask = lease.ask(now_s, max(units, 1), max(units, 1))
            lease.hear(vault.answer(ask, OWN, now_s, day), ask, now_s, now_s, day)

    def _take_shares(self, draw: Draw, short: Sequence[tuple[Lease, int]], now_s: float, wall_s: float, day: int) -> Shed | None:
        """Take what is at hand, and from safe shares where nothing is."""
        for lease, _ in short:
            lease.open_share(now_s, day, self.holders)
            self._open[lease] = None
        lacking = [n for n in short if not n[0].share_has(n[1])]
        if lacking:
            return self._refuse(lacking, now_s, wall_s)
        self._commit(draw, tuple(lease for lease, _ in short), now_s, day)
        return None

    def _leave(self, asked: Iterable[tuple[Lease, int]]) -> None:
        """Let go what was granted for a draw that is refused nevertheless, so that nobody else uses what counts as used."""
        for lease, units in asked:
            lease.give_back(min(max(units, 1), lease.balance))
            if self._vaults is None:
                self._low[lease] = None

    def _correct(self, draw: Draw, lease: Lease, delta: int) -> None:
        """Count units more, or fewer, than were taken."""
        if delta == 0:
            return
        if lease in draw.shares and lease.share is not None:
            lease.share.use(delta)
        else:
            lease.settle(delta)
            self._note(lease)

    def _refuse(self, short: Sequence[tuple[Lease, int]], now_s: float, wall_s: float) -> Shed:
        lease, units = max(short, key=lambda n: n[0].wait_s(n[1], now_s, wall_s))
        wait_s = lease.wait_s(units, now_s, wall_s)
        if self.is_away:
            wait_s = min(wait_s, AWAY_WAIT_S)
        if self._vaults is None:
            self._starved[lease] = (now_s, min(max(wait_s * NEWS_PART, NEWS_S[0]), NEWS_S[1]))
        limit = lease.limit
        if lease.is_spent(units, now_s, int(wall_s // DAY_S)):
            lease.refused += 1
            self.refused[limit.kind] += 1
        return Shed(REASONS[limit.kind], f"tenant {limit.tenant} has used up its limit of {limit.said}", wait_s)


def units_of(limit: Limit, tokens: int, usd: float) -> int:
    """Return what a request of so many tokens and dollars takes from a limit; dollars are rounded up to nanodollars."""
    if limit.kind is LimitKind.REQUESTS:
        return 1
    return tokens if limit.kind is LimitKind.TOKENS else ceil(usd * NANO)
