"""Vault: the shared side of one limit; who may use how many of its units.

Theory. At every moment

    level + held by all holders <= amount

where `level` is what nobody was given. A grant moves units from the level to a holder (debit at grant), use takes them
from the holder, and what runs in with time never lifts the level above what the holders leave room for. So whoever
holds what, over any T seconds at most amount + per_s * T units are used: exactly the promise of one token bucket. What
requests wait for counts as used when it is granted; a holder that did not use it after all gives it back unused. A
limit without inflow (dollars per day) starts anew at midnight UTC; what is held then counts for the new day.

Rules:

- Totals, not changes, travel (`domain/limit.py`): a lost answer is taken back by the next call, a late or doubled call
  is told by its number, and a store that lost its last second is put right. `born` tells a forgotten holder (its units
  count as used, see below) from a store that lost everything (then what the holder carries is counted anew).
- Nothing is granted beyond the level, but for one request that is larger than the whole limit: it passes a full one.
- Settlement may take more than was held; the level then falls below zero and is filled before anything is granted.
- A grant beyond what requests wait for is at most 1/`SHARE` of the level, and none at all where there would be fewer than
  `Ask.floor` units per holder: there every request asks the one shared counter.
- What holders used and have not told yet takes no inflow in: a nearly full bucket may lack that much of its burst, once, at most
  five seconds' worth of its load (measured: 3.4 % of 600 rpm over 4 to 16 replicas, 0.06 % of what is served in an hour).
- A holder that is silent until its lease and the grace have passed counts as having used what it held. The bill of a killed
  process is not known, and a hard limit errs on the tenant's own side: at most one lease per killed process.

`edges/store/lua/grant.lua` does the same on a server; `tests/integration/store/test_leases.py` runs both through one story.
"""

from dataclasses import dataclass
from math import floor

from gateway.domain.limit import Ask, Granted

LEASE_S = 30.0
"""How long granted units may be used without a further call."""
GRACE_S = 60.0
"""How long after that a silent holder may still settle exactly."""
SHARE = 64
"""A lease takes at most this part of what is left: 1.6 % at stake with each holder, and smaller as the limit nears."""
ROUNDING = 1e-9
"""Relative: a client that waits exactly Retry-After must not fail for the last bit of a float."""


@dataclass(slots=True)
class Holder:
    """What the vault knows of one replica."""

    seq: int
    granted: int
    held: int
    until_s: float


class Vault:
    """One limit. Times are of one monotonic clock; `day` counts days of UTC."""

    def __init__(self, born: str) -> None:
        self._born = born
        self._holders: dict[str, Holder] = {}
        self._amount: int | None = None
        self.level, self.out = 0.0, 0
        self._at_s, self._day = 0.0, 0

    def answer(self, ask: Ask, holder: str, now_s: float, day: int) -> Granted:
        """Settle what a holder tells and grant what it may have."""
        self._fill(ask, now_s, day)
        known = self._holders.get(holder)
        if known is not None and ask.seq <= known.seq:
            return Granted(known.granted, known.held, self.level, self._alive(holder, now_s), self._born)
        heard, held = self._settle(ask, known)
        self.out += held
        if ask.limit.per_s > 0:  # A correction may return more than fits beside what has run in meanwhile.
            self.level = min(self.level, float(ask.limit.amount - self.out))
        holders = self._alive(holder, now_s)
        given = self._needed(ask)
        spare = self._spare(ask, self.level - given, holders)
        self.level -= given + spare
        self.out += spare
        until_s = now_s if ask.is_leaving else now_s + LEASE_S
        self._holders[holder] = Holder(ask.seq, heard + given + spare, held + spare, until_s)
        return Granted(heard + given + spare, held + spare, self.level, holders, self._born)

    def _fill(self, ask: Ask, now_s: float, day: int) -> None:
        """Forget silent holders, take in a changed limit, and let run in what has run in."""
        amount, per_s = ask.limit.amount, ask.limit.per_s
        if self._amount is None:
            self.level, self._at_s, self._day, self._amount = float(amount), now_s, day, amount
        for name in [n for n, h in self._holders.items() if h.until_s + GRACE_S <= now_s]:
            self.out -= self._holders.pop(name).held
        if per_s == 0:
            self.level += amount - self._amount
        self._amount = amount
        if per_s > 0:
            self.level = min(self.level + max(now_s - self._at_s, 0.0) * per_s, float(amount - self.out))
        elif day > self._day:
            self.level, self._day = float(amount - self.out), day
        self._at_s = max(self._at_s, now_s)

    def _settle(self, ask: Ask, known: Holder | None) -> tuple[int, int]:
        """Take in a holder's totals; return its total of grants and what it holds."""
        heard, held = ask.heard, ask.heard - ask.used
        if known is not None:
            self.level += known.granted - heard  # Answers that it never heard, and what it gives back.
            self.out -= known.held
        elif ask.born not in ("", self._born):
            self.level -= ask.carried
            heard, held = max(heard, ask.used), max(held, 0)
        elif held > 0:
            heard, held = ask.used, 0
        if held < 0:
            self.level += held
            heard, held = ask.used, 0
        return heard, held

    def _needed(self, ask: Ask) -> int:
        """Return what is granted to requests that wait: all of it, or as many of the largest as there are."""
        level = self.level
        if ask.limit.per_s > 0 and level > 0:
            level *= 1.0 + ROUNDING
        if ask.need <= 0:
            return 0
        if level >= ask.need:
            return ask.need
        if ask.least > ask.limit.amount and level >= max(ask.limit.amount - self.out, 1):
            return min(ask.need, ask.least)
        return floor(level / ask.least) * ask.least if ask.least < ask.need and level >= ask.least else 0

    @staticmethod
    def _spare(ask: Ask, level: float, holders: int) -> int:
        """Return what is granted to be at hand."""
        if ask.want <= 0 or ask.limit.amount < ask.floor * holders:
            return 0
        return min(ask.want, max(floor(level / SHARE), 0))

    def _alive(self, holder: str, now_s: float) -> int:
        return 1 + sum(h.until_s > now_s for name, h in self._holders.items() if name != holder)
