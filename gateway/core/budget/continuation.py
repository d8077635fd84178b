"""What the fleet probably counts while this replica cannot hear of it: its own counts, times the replicas there were.

Theory. Prices that are frozen for an hour do no measurable harm, four hours of them under a price shock do; so after a
while each replica goes on by itself, with the law and the accounts that it last saw. Of what the fleet adds it knows its
own share only, and takes every other replica for its equal: N times its own events, at the same time. Behind a load balancer that
is right within the noise of one share, and the spend it steers is its own.

Nothing of this is ever written: the store gets the true counts of everybody when it is back, and the accounts are summed
anew from those. Not handled: replicas that come or go meanwhile, verdicts that arrive for slots long past.
Source: control_and_budgets, section 4 ("local continuation"). Shown by `test_upkeep.py`.
"""

from collections.abc import Mapping

from gateway.core.budget.counts import WIDTHS_S, Counts


class Continuation:
    """Counts from the last read on.

    counts: what was last read of the store; copied. replicas: how many there were, at least 1.
    """

    def __init__(self, counts: Counts, replicas: int) -> None:
        self.counts, self.replicas = counts.copy(), max(replicas, 1)
        self._seen: dict[int, Mapping[str, int]] = {}

    def take(self, own: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
        """Take in this replica's totals by slot of ten seconds, as far as no store has them; return what is new of the fleet's."""
        fresh: dict[str, int] = {}
        for number, totals in own.items():
            seen = self._seen.get(number, {})
            # A total that fell was written meanwhile: the store answers again, and this ends.
            entries = [(name, self.replicas * max(amount - seen.get(name, 0), 0)) for name, amount in totals.items()]
            self._seen[number] = dict(totals)
            self.counts.add(entries, float(number * WIDTHS_S[0]))
            for name, amount in entries:
                fresh[name] = fresh.get(name, 0) + amount
        return fresh
