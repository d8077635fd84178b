"""Lease: the holder's side of one limit; units at hand in this process.

A request takes from what is at hand, in memory. What is asked of the store, and when: `limits.py`. The balance is the total
heard of less the total used; settlement may take it below zero, which the store is told with the next call.

While the store is away an unexpired lease is used up first. Then follows a safe share (Doorman's word): what the store had left
when it was last heard, less what the others have probably used until the share begins (as much as we), and what runs in, each
divided by the replicas that it had named. All shares together are what was left, as far as everybody heard of it. A share below
one unit grows to one unit before it is used, so the limit holds on average, and in a burst at most one unit per replica is used
at once. Back from an outage, what is still missing from the share is told as use; what ran into it during the first
`BLIP_S` too, since then the store was perhaps only late, and gave the same inflow to others.
"""

from dataclasses import dataclass
from math import ceil, exp

from gateway.core.tenants.vault import LEASE_S, ROUNDING
from gateway.domain.limit import Ask, Granted, Limit

DEMAND_S = 5.0
"""A lease is to last for this long at the present demand: few calls, little at stake."""
MEMORY_S = 10.0
"""Over which demand is averaged: two leases' worth. Not measured against others."""
SIZE_WEIGHT = 0.1
"""Weight of the newest request in the mean units per request: ten requests decide what `UNITS_MIN` means."""
UNITS_MIN = 30
"""Requests' worth per holder below which a limit is one shared counter: with less, what lies idle elsewhere refuses here."""
LOW = 0.2
"""Part of a lease below which it is refilled in the background."""
LAST_BITS = 1e-6
"""Units; what a sum of floats may be off by."""
BLIP_S = 5.0
"""A store that was away for less than this may have been there for others: nothing that was used of a share has run in again."""
DAY_S = 86_400.0


@dataclass(slots=True)
class Share:
    """A bucket for the time without store: `level` of at most `cap`, filled with `per_s`; `unused` had nobody used it."""

    level: float
    cap: float
    per_s: float
    unused: float
    at_s: float
    began_s: float
    used: int = 0

    def use(self, units: int) -> None:
        """Take units, or put some back."""
        self.level -= units
        self.used += units

    def fill(self, now_s: float) -> float:
        """Bring both levels up to now."""
        run_in, self.at_s = max(now_s - self.at_s, 0.0) * self.per_s, max(now_s, self.at_s)
        self.level, self.unused = min(self.level + run_in, self.cap), min(self.unused + run_in, self.cap)
        return self.level


class Lease:
    """One limit in this process."""

    __slots__ = (
        "_at_s", "_day", "_rate", "_size", "_told", "_used_today", "asked_s", "balance", "born", "full", "heard", "holders", "is_counter",
        "level", "level_at_s", "level_day", "limit", "number", "peak", "pending", "refused", "seq", "share", "until_s", "used",
    )  # fmt: skip

    def __init__(self, limit: Limit, now_s: float, number: int = 0) -> None:
        self.limit, self.number = limit, number
        self.seq = self.heard = self.used = self.balance = 0
        self.born = ""
        self.until_s = -1.0
        """Until when the balance may be used."""
        self.level: float | None = None
        """What the store had left when it was last heard; None: never heard."""
        self.level_at_s, self.level_day, self.asked_s = now_s, 0, now_s
        self.holders = 1
        self.full = 0
        """Balance after the last grant."""
        self.is_counter = True
        """Whether the limit is too small to keep units at hand."""
        self.pending = 0
        """Requests that wait for the store; who comes later does not overtake them."""
        self.share: Share | None = None
        self.refused = 0
        """Requests that it refused, or sent to another model."""
        self.peak = 0
        """Most units that `used_here` has told."""
        self._rate, self._size, self._at_s = 0.0, 0.0, now_s
        self._told = self._day = self._used_today = 0

    def has(self, units: int, now_s: float) -> bool:
        """Say whether units are at hand; what takes nothing needs one all the same, or nothing would ever end it."""
        return self.balance >= units and self.balance >= 1 and now_s < self.until_s

    def take(self, units: int, now_s: float, day: int) -> None:
        """Take units that are at hand."""
        self.balance -= units
        self.used += units
        if day != self._day:
            self._day, self._used_today = day, 0
        self._used_today += units
        self._wish(units, now_s)

    def take_share(self, units: int, now_s: float) -> None:
        """Take units of the safe share."""
        assert self.share is not None
        self.share.use(units)
        self._wish(units, now_s)

    def settle(self, delta: int) -> None:
        """Correct what was taken: used minus taken, of either sign."""
        self.used += delta
        self.balance -= delta
        self._used_today += delta

    @property
    def is_low(self) -> bool:
        """Say whether units should be fetched, or a debt be told. Where the last call left nothing at hand, the next would not."""
        return self.balance < 0 or (not self.is_counter and self.full > 0 and self.balance <= self.full * LOW)

    @property
    def is_open(self) -> bool:
        """Say whether the store is owed a word: it thinks that units are at hand, or they are, or more was used than granted."""
        return self.balance != 0 or self._told != 0 or self.share is not None

    def left(self, now_s: float, day: int) -> float:
        """Return what the store has left at most, as far as is known here."""
        limit = self.limit
        if self.level is None or (limit.per_s == 0 and day > self.level_day):
            return float(limit.amount)
        return min(self.level + max(now_s - self.level_at_s, 0.0) * limit.per_s, float(limit.amount))

    def remaining(self, now_s: float, day: int) -> float:
        """Return what everybody may still use, as far as is known here; while the store is away, what of it is ours. 0..amount."""
        left = self.left(now_s, day) + self.balance if self.share is None else self.share.level
        return min(max(left, 0.0), float(self.limit.amount))

    def whole_s(self, remaining: float, wall_s: float) -> float:
        """Return the seconds until nothing is missing, if nobody takes anything."""
        limit = self.limit
        return (limit.amount - remaining) / limit.per_s if limit.per_s > 0 else DAY_S - wall_s % DAY_S

    def used_here(self) -> int:
        """Return the units used through this process, which never fall: where estimates were too high, they wait for use to catch up."""
        self.peak = max(self.peak, self.used + (self.share.used if self.share is not None else 0))
        return self.peak

    def is_spent(self, units: int, now_s: float, day: int) -> bool:
        """Say whether units are not to be had, rather than only not at hand."""
        there = self.left(now_s, day) + max(self.balance, 0) if self.share is None else self.share.level
        return there < self.needed(units)

    def needed(self, units: int) -> int:
        """Return what must be there for a request: a larger one than the whole limit is content with a full one."""
        return max(min(units, self.limit.amount), 1)

    def wait_s(self, units: int, now_s: float, wall_s: float) -> float:
        """Return the seconds until a request could be granted if nobody else took anything; a limit of 0 never does: a day."""
        limit = self.limit
        if limit.per_s == 0:
            return DAY_S - wall_s % DAY_S
        day = int(wall_s // DAY_S)
        there, per_s = self.left(now_s, day) + max(self.balance, 0), limit.per_s
        if self.share is not None:
            there, per_s = self.share.level, self.share.per_s
        return max(self.needed(units) - there, 0.0) / per_s if per_s > 0 else DAY_S

    # -- with the store ----------------------------------------------------------------------------------------------

    def ask(self, now_s: float, need: int = 0, least: int = 0, is_wanting: bool = False, is_leaving: bool = False) -> Ask:
        """Return the next call: what was used, what is given back, what is needed now and wanted at hand.

        Args:
            need: units that requests wait for. least: the largest of them.
            is_wanting: whether units for the next seconds are wanted.
        """
        target = 0 if is_leaving or self.is_idle(now_s) else self._target(now_s)
        if now_s >= self.until_s or is_leaving:  # What must not be used any more is given back; it may be too late for that.
            self.give_back(self.balance)
        elif self.balance > 2 * target + need:
            self.give_back(self.balance - target - need)
        want = max(target - self.balance, 0) if is_wanting else 0
        self.seq += 1
        self.asked_s = now_s
        # Whatever requests wait for beyond what is at hand; a debt is settled by the store before it grants.
        lacking = need - max(self.balance, 0) if need else 0
        carried = max(self.balance, 0) + (max(self._used_today, 0) if self.limit.per_s == 0 else 0)
        floor = UNITS_MIN * max(round(self._size), 1)
        return Ask(
            self.limit, self.seq, self.heard, self.used, carried, self.born, max(lacking, 0), least, want, floor, self.number, is_leaving
        )  # fmt: skip

    def hear(self, granted: Granted, ask: Ask, asked_s: float, now_s: float, day: int) -> None:
        """Take in the answer to the newest call.

        asked_s: when the call was sent: the store counts the lease from later on, so ours ends first.
        """
        self.heard, self.born, self.holders = granted.granted, granted.born, max(granted.holders, 1)
        if self.share is not None:
            self._end_share(now_s)
        self.balance, self._told = self.heard - self.used, granted.held
        self.until_s = asked_s + LEASE_S
        self.level, self.level_at_s, self.level_day = granted.level, now_s, day
        self.is_counter = self.limit.amount < ask.floor * self.holders
        self.full = max(self.balance, 0)

    def open_share(self, now_s: float, day: int, holders: int) -> Share:
        """Return the safe share for a time without store; `holders`: replicas, where this limit was never heard of."""
        if self.share is None:
            among = self.holders if self.level is not None else max(holders, 1)
            cap = max(self.limit.amount / among, min(max(self._size, 1.0), self.limit.amount))
            others_used = self.rate(now_s) * (among - 1) * max(now_s - self.level_at_s, 0.0) if self.level is not None else 0.0
            level = min(max(self.left(now_s, day) - others_used, 0.0) / among, cap)
            self.share = Share(level, cap, self.limit.per_s / among, level, now_s, now_s)
        self.share.fill(now_s)
        return self.share

    def share_has(self, units: int) -> bool:
        """Say whether the share suffices; a request larger than a full share is content with a full one."""
        share = self.share
        return share is not None and share.level >= max(min(units, share.cap), 1.0) * (1.0 - ROUNDING)

    def is_idle(self, now_s: float) -> bool:
        """Say whether nothing was asked of it for as long as a lease is meant to last."""
        return now_s - self._at_s > DEMAND_S * 2

    def rate(self, now_s: float) -> float:
        """Return the present demand, units per second."""
        return self._rate * exp(min(self._at_s - now_s, 0.0) / MEMORY_S)

    def _target(self, now_s: float) -> int:
        return int(DEMAND_S * self.rate(now_s))

    def _wish(self, units: int, now_s: float) -> None:
        self._rate = self.rate(now_s) + units / MEMORY_S
        self._at_s = max(now_s, self._at_s)
        self._size += (SIZE_WEIGHT if self._size else 1.0) * (units - self._size)

    def give_back(self, units: int) -> None:
        """Let units at hand go; the store has them again with the next call."""
        if units > 0:
            self.heard -= units
            self.balance -= units

    def _end_share(self, now_s: float) -> None:
        share, self.share = self.share, None
        assert share is not None
        share.fill(now_s)
        missing = max(share.unused - share.level, 0.0)
        missing += max(min(share.used - missing, share.per_s * min(share.at_s - share.began_s, BLIP_S)), 0.0)
        self.used += ceil(missing - LAST_BITS)
