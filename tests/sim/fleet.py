"""Replicas that share hard limits, on virtual time: arrivals, calls, lost answers and deaths, beside a bucket that knows everything."""

import random
from dataclasses import dataclass

from gateway.core.tenants.lease import DAY_S, Lease
from gateway.core.tenants.limits import LACKING, LimitState
from gateway.core.tenants.vault import Vault
from gateway.domain.event import NANO
from gateway.domain.limit import Limit

ROUND_S = 0.05
"""How often a replica refills, as the worker does."""
NOON = 20_000 * DAY_S + DAY_S / 2


@dataclass
class Truth:
    """One limit as a single counter would keep it, fed with what was really used."""

    limit: Limit
    level: float = 0.0
    at_s: float = 0.0

    def fill(self, now_s: float) -> float:
        self.level = min(self.level + (now_s - self.at_s) * self.limit.per_s, float(self.limit.amount))
        self.at_s = now_s
        return self.level


@dataclass
class Tally:
    """What came of it."""

    asked: int = 0
    served: int = 0
    refused: int = 0
    falsely: int = 0
    """Refused although the truth had enough at that moment; counted again and again while some of it lies where nobody asks."""
    ideal: int = 0
    """What a single counter that is asked every time would have served."""
    waited: int = 0
    """Requests that waited for the store."""
    calls: int = 0
    worst: float = 0.0
    """Most that level and balances ever held together, beyond the amount."""
    over: float = 0.0
    """Most that was ever used beyond what the truth had."""


class Replica:
    """One process."""

    def __init__(self, name: str) -> None:
        self.name, self.limits = name, LimitState()
        self.limits.share_with_others()

    @property
    def leases(self) -> list[Lease]:
        return list(self.limits._leases.values())


class Fleet:
    """Replicas around one limit. Every call takes no time; `lost` is the share of answers that never arrive."""

    def __init__(self, limit: Limit, replicas: int, seed: int, lost: float = 0.0, die_every_s: float = 0.0) -> None:
        self.limit, self.rng, self.lost, self.die_every_s = limit, random.Random(seed), lost, die_every_s
        self.vault, self.tally = Vault("v"), Tally()
        self.truth, self.ideal = Truth(limit, float(limit.amount)), Truth(limit, float(limit.amount))
        self.replicas = [Replica(f"r{i}") for i in range(replicas)]
        self.weights = [self.rng.paretovariate(1.5) for _ in self.replicas]
        self.is_away = False
        """Whether the store answers nobody."""
        self._serial, self.now_s = replicas, 0.0

    def run(self, rate: float, seconds: float, units: int = 1, even: bool = False) -> Tally:
        """Go on with Poisson arrivals of `units` each, `rate` per second in all; `even`: every replica asks equally often."""
        t_s = self.now_s
        clock_s, ends_s = t_s, t_s + seconds
        next_death_s = t_s + (self.die_every_s or float("inf"))
        while True:
            t_s += self.rng.expovariate(rate)
            if t_s > ends_s:
                self.now_s = ends_s
                return self.tally
            while clock_s + 1.0 <= t_s:
                clock_s += 1.0
                for replica in self.replicas:
                    self.refill(replica, clock_s)
            while next_death_s <= t_s:
                at = self.rng.randrange(len(self.replicas))
                self.replicas[at] = Replica(f"r{self._serial}")
                self._serial += 1
                next_death_s += self.die_every_s
            replica = self.rng.choice(self.replicas) if even else self.rng.choices(self.replicas, self.weights)[0]
            self.refill(replica, t_s - ROUND_S / 2)
            self.request(replica, t_s, units)

    def request(self, replica: Replica, now_s: float, units: int) -> None:
        tally, limits = self.tally, replica.limits
        tally.asked += 1
        draw = limits.draw([self.limit], units, units / NANO, now_s)
        answer = limits.take(draw, now_s, NOON + now_s)
        if answer is LACKING:
            tally.waited += 1
            if not self.call(replica, [lease for lease, _ in draw.lacking], now_s, units):
                limits.is_away = True
            answer = limits.take(draw, now_s, NOON + now_s, was_asked=True)
        if self.ideal.fill(now_s) >= units:
            self.ideal.level -= units
            tally.ideal += 1
        left = self.truth.fill(now_s)
        if answer is None:
            tally.served += 1
            self.truth.level -= units
            tally.over = max(tally.over, -self.truth.level)
        else:
            tally.refused += 1
            tally.falsely += left >= units

    def refill(self, replica: Replica, now_s: float) -> None:
        due = replica.limits.due(now_s)
        if due and not self.call(replica, due, now_s):
            replica.limits.is_away = True
            replica.limits.again(due)

    def call(self, replica: Replica, leases: list[Lease], now_s: float, need: int = 0) -> bool:
        self.tally.calls += 1
        asks = [lease.ask(now_s, need, need, is_wanting=True) for lease in leases]
        if self.is_away:
            return False
        answers = [self.vault.answer(ask, replica.name, now_s, int((NOON + now_s) // DAY_S)) for ask in asks]
        if self.rng.random() < self.lost:
            return False
        replica.limits.hear(zip(leases, asks, answers, strict=True), now_s, now_s, NOON + now_s)
        self.check(now_s)
        return True

    def at_hand(self, now_s: float) -> int:
        """What all living replicas could use now without asking."""
        return sum(lease.balance for r in self.replicas for lease in r.leases if now_s < lease.until_s)

    def check(self, now_s: float) -> None:
        together = self.vault.level + self.at_hand(now_s) - self.limit.amount
        self.tally.worst = max(self.tally.worst, together)

    def drain(self) -> None:
        """End every replica in order."""
        now_s = self.now_s
        for replica in self.replicas:
            for lease in replica.limits.held():
                ask = lease.ask(now_s, is_leaving=True)
                replica.limits.hear(
                    [(lease, ask, self.vault.answer(ask, replica.name, now_s, int((NOON + now_s) // DAY_S)))], now_s, now_s, NOON + now_s
                )
