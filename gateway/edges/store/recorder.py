"""Collects what is to be counted, in slots of ten seconds, until the next flush takes it.

Booking is on every request's path: ten entries cost about a microsecond (`tests/integration/store/test_speed.py`). Memory is
bounded however long the store is away: two hours are kept as they came, older slots are merged into the first slot of
their hour, so that every hourly total stays right and nothing is dropped; in the end there is one slot per hour.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gateway.domain.event import Entry
from gateway.edges.store.keys import WIDTHS

SLOT_S = WIDTHS[0].seconds
SLOTS_PER_HOUR = 3600 // SLOT_S
SLOTS_MAX = 2 * SLOTS_PER_HOUR
HOURS_MAX = 24 * 31
"""Merged hours kept apart; beyond that the two oldest become one."""

SlotCounts = Mapping[int, Mapping[str, int]]
"""Slot number (Unix seconds // 10) -> field -> what is to be added."""


class SlotRecorder:
    """`ports.Recorder`; used by one event loop, takes no lock."""

    def __init__(self, slots_max: int = SLOTS_MAX) -> None:
        self._slots_max = slots_max
        self._slots: dict[int, defaultdict[str, int]] = {}
        self._open_number: int | None = None
        self._open: defaultdict[str, int] = defaultdict(int)

    def book(self, entries: Sequence[Entry], wall_s: float) -> None:
        """Add to counters in the slot of `wall_s`."""
        number = int(wall_s // SLOT_S)
        if number != self._open_number:
            self._turn_to(number)
        slot = self._open
        for name, amount in entries:
            slot[name] += amount

    @property
    def slots_held(self) -> int:
        """Slots that wait to be taken."""
        return len(self._slots)

    def held(self, from_number: int) -> SlotCounts:
        """Return what waits in slots from this number on, and leave it."""
        return {number: dict(totals) for number, totals in self._slots.items() if number >= from_number}

    @property
    def numbers(self) -> list[int]:
        """Slots that wait to be taken, oldest first."""
        return sorted(self._slots)

    def take(self, numbers: Iterable[int]) -> SlotCounts:
        """Hand over these slots, as far as they wait; what is booked into them later comes with a later batch."""
        self._open_number = None
        return {number: dict(self._slots.pop(number)) for number in numbers if number in self._slots}

    def _turn_to(self, number: int) -> None:
        slot = self._slots.get(number)
        if slot is None:
            while len(self._slots) >= self._slots_max and self._merge_oldest():
                pass
            slot = self._slots.setdefault(number, defaultdict(int))
        self._open_number, self._open = number, slot

    def _merge_oldest(self) -> bool:
        """Merge the oldest slot into the first of its hour; return whether that may have made room."""
        numbers = sorted(self._slots)
        fine = next((n for n in numbers if n % SLOTS_PER_HOUR), None)
        if fine is not None:
            source, target = fine, fine - fine % SLOTS_PER_HOUR
        elif len(numbers) >= HOURS_MAX:
            source, target = numbers[0], numbers[1]
        else:
            return False
        into = self._slots.setdefault(target, defaultdict(int))
        for name, amount in self._slots.pop(source).items():
            into[name] += amount
        return True
