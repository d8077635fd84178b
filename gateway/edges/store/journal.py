"""Which batches the store has, which it has not, and which it may lose again: the client's half of exactly once.

Batches carry a sequence number per replica. The store applies a batch only if it has exactly what we believe it has,
usually the batch before, and says after every attempt which one it has (`lua/flush.lua`); so a lost reply, a duplicate
or a late copy changes nothing. An acknowledgement
is not for ever: a server that is killed may come back without its last seconds, and a failover may lose some more. So
acknowledged batches are kept for `RING_S` more seconds; when the store says that it has less than it once had, they are
sent again from there. What was rolled back beyond the ring is counted in `lost_batches` (once more, should it be rolled back again).

A batch is sealed when it is first sent and never changes afterwards: the store may have it already.
Pure bookkeeping; `test_journal.py` drives it against a store that loses replies and rolls back, and compares totals.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.edges.store.recorder import SlotCounts

RING_S = 120.0
"""Real seconds; an append-only file synced every second loses about two, asynchronous replication some more."""
RING_MAX = 4096
"""Acknowledged batches kept at most, should somebody flush every few milliseconds."""


@dataclass(slots=True)
class Batch:
    """What one flush adds."""

    seq: int
    slots: SlotCounts
    acked_at_s: float | None = None


class Journal:
    """Sealed batches of one process and one group, in order, and the store's last word on them."""

    def __init__(self, ring_s: float = RING_S) -> None:
        self._ring_s = ring_s
        self._batches: deque[Batch] = deque()
        self._newest = 0
        self._last = 0
        self.rollbacks = 0
        self.lost_batches = 0

    def seal(self, slots: SlotCounts) -> None:
        """Make the next batch."""
        self._newest += 1
        self._batches.append(Batch(self._newest, slots))

    @property
    def pending(self) -> int:
        """Sealed batches that the store has not, as far as we know."""
        return min(self._newest - self._last, len(self._batches))

    @property
    def is_empty(self) -> bool:
        """True when nothing is held, so that nothing could be sent again."""
        return not self._batches

    def unacknowledged(self) -> Sequence[SlotCounts]:
        """Return what is in sealed batches that the store has not, as far as we know."""
        return [batch.slots for batch in self._batches if batch.seq > self._last]

    def next(self) -> tuple[Batch, int] | None:
        """Return the batch to send now and the last one that we believe applied; None when the store has them all.

        What lies between the two, after a roll-back beyond the ring, cannot be had again from here.
        """
        for batch in self._batches:
            if batch.seq > self._last:
                return batch, self._last
        return None

    def heard(self, last: int, now_s: float) -> int:
        """Take the store's word that it has all batches up to `last`; return how many are newly acknowledged."""
        last = min(last, self._newest)
        if last < self._last:
            self.rollbacks += 1
            for batch in self._batches:
                if batch.seq > last:
                    batch.acked_at_s = None
        fresh = 0
        for batch in self._batches:
            if batch.seq <= last and batch.acked_at_s is None:
                batch.acked_at_s = now_s
                fresh += 1
        if self._batches and self._last < self._batches[0].seq - 1 < last:
            self.lost_batches += self._batches[0].seq - 1 - self._last
        self._last = last
        self._forget(now_s)
        return fresh

    def _forget(self, now_s: float) -> None:
        while self._batches:
            oldest = self._batches[0]
            if oldest.acked_at_s is None or (oldest.acked_at_s >= now_s - self._ring_s and len(self._batches) <= RING_MAX):
                return
            self._batches.popleft()
