"""Totals in time slots, as the store keeps them, and sums over any stretch of time.

Three widths hold the same events at different age: 10 s for the last quarter of an hour, 5 min for the last hours, 1 h
for a month. Every event is in one slot of each width that is still kept. A slot read again replaces what was known of
it, so reading twice, late verdicts and replays are harmless. Sums take the widest slots that lie wholly inside and
finer ones at the edges; where finer ones are no longer kept, a partly covered slot counts by its covered share.
"""

from collections.abc import Iterable, Mapping, Sequence

from gateway.domain.event import Entry

WIDTHS_S = (10, 300, 3600)
KEPT = {10: 96, 300: 78, 3600: 800}
"""Slots kept per width: 16 min, 6.5 h, 33 days."""

SlotTotals = tuple[int, int, Mapping[str, int]]


class Counts:
    """Slots of all widths, in memory."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[int, dict[str, int]]] = {w: {} for w in WIDTHS_S}

    def update(self, slots: Iterable[SlotTotals]) -> dict[str, int]:
        """Take in slots as the store has them; return what is new in them (by the 1 h slots), field by field."""
        fresh: dict[str, int] = {}
        for width, number, totals in slots:
            if width == WIDTHS_S[-1]:
                known = self._slots[width].get(number, {})
                for name, total in totals.items():
                    if difference := total - known.get(name, 0):
                        fresh[name] = fresh.get(name, 0) + difference
            self._slots[width][number] = dict(totals)
        self._forget()
        return fresh

    def add(self, entries: Iterable[Entry], wall_s: float) -> None:
        """Count at once, without a store (simulation)."""
        entries = list(entries)
        for width in WIDTHS_S:
            slot = self._slots[width].setdefault(int(wall_s // width), {})
            for name, amount in entries:
                slot[name] = slot.get(name, 0) + amount
        self._forget()

    def copy(self) -> "Counts":
        """Return counts of the same content that go their own way."""
        other = Counts()
        other._slots = {width: {number: dict(slot) for number, slot in slots.items()} for width, slots in self._slots.items()}
        return other

    def total(self, name: str, from_s: float, to_s: float) -> float:
        """Return the sum of one field over [from_s, to_s), Unix seconds."""
        return self._total(name, from_s, to_s, len(WIDTHS_S) - 1)

    def totals(self, names: Sequence[str], from_s: float, to_s: float) -> dict[str, float]:
        """Return the sums of several fields over one stretch."""
        return {n: self.total(n, from_s, to_s) for n in names}

    def first_s(self, name: str) -> float | None:
        """Return when the oldest slot begins that is kept and holds a field; None when there is none."""
        width = WIDTHS_S[-1]
        numbers = [n for n, slot in self._slots[width].items() if name in slot]
        return float(min(numbers) * width) if numbers else None

    def fields(self) -> set[str]:
        """Return every field that was ever counted and is still kept."""
        return {name for slot in self._slots[WIDTHS_S[-1]].values() for name in slot}

    def _total(self, name: str, from_s: float, to_s: float, level: int) -> float:
        if to_s <= from_s:
            return 0.0
        width = WIDTHS_S[level]
        slots = self._slots[width]
        first, last = -int(-from_s // width), int(to_s // width)
        if first > last:  # Inside one slot of this width.
            return self._edge(name, from_s, to_s, level)
        inner = last - first
        if inner > len(slots):
            amount = sum(s.get(name, 0) for n, s in slots.items() if first <= n < last)
        else:
            amount = sum(slots[n].get(name, 0) for n in range(first, last) if n in slots)
        return amount + self._edge(name, from_s, first * width, level) + self._edge(name, last * width, to_s, level)

    def _edge(self, name: str, from_s: float, to_s: float, level: int) -> float:
        """Sum a stretch that lies inside one slot of WIDTHS_S[level]."""
        if to_s <= from_s:
            return 0.0
        width = WIDTHS_S[level]
        if level > 0:
            finer = WIDTHS_S[level - 1]
            newest = max(self._slots[finer], default=0)
            if from_s >= (newest - KEPT[finer] + 1) * finer and self._is_split(int(from_s // width), level):
                return self._total(name, from_s, to_s, level - 1)
        slot = self._slots[width].get(int(from_s // width))
        if slot is None:
            return 0.0
        if level == 0:  # The open slot counts whole when the stretch reaches its events; its share is not known better.
            return float(slot.get(name, 0)) if to_s - from_s >= width / 2 or int(from_s // width) == max(self._slots[width]) else 0.0
        return slot.get(name, 0) * (to_s - from_s) / width

    def _is_split(self, number: int, level: int) -> bool:
        """Return whether any finer slot of a slot is known; after a quiet time a store may have kept only the wide one."""
        finer, parts = self._slots[WIDTHS_S[level - 1]], WIDTHS_S[level] // WIDTHS_S[level - 1]
        return any(n in finer for n in range(number * parts, (number + 1) * parts))

    def _forget(self) -> None:
        for width, slots in self._slots.items():
            if len(slots) > KEPT[width] * 1.25:
                oldest = max(slots) - KEPT[width]
                for number in [n for n in slots if n <= oldest]:
                    del slots[number]
