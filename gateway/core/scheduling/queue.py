"""Queue: requests of one model that wait for room, best first, bounded.

Theory: order is (class rank, deadline, arrival): strict classes, earliest deadline inside a class. Plain earliest
deadline over all classes is the worst policy under sustained overload (it serves what is about to be late anyway), and
a class order without deadlines wastes work inside the class. Source: reference/serving_systems.md sections 0 and 3.1.

One sorted list per class, kept with the best entry at its end: taking the best is a pop, the worst of all is the first
entry of the worst class, expiry looks at one entry per class, and removal is a bisection. No tombstones.
The bounds are on entries and on prompt tokens (which stand for the memory of held bodies); beyond them the worst entry
of the worst class goes, which may be the newcomer.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

ENTRIES_MAX = 10_000
TOKENS_MAX = 20_000_000
"""About 80 MB of held prompts."""


class Waiting(Generic[T]):
    """One waiting request; made by `Queue.push`."""

    __slots__ = ("deadline_s", "is_queued", "item", "key", "rank", "tokens")

    def __init__(self, item: T, rank: int, deadline_s: float, tokens: int, order: int) -> None:
        self.item, self.rank, self.deadline_s, self.tokens = item, rank, deadline_s, tokens
        self.key = (-deadline_s, -order)
        self.is_queued = True

    def __lt__(self, other: "Waiting[T]") -> bool:
        return self.key < other.key


class Queue(Generic[T]):
    """Waiting requests of one model. Ranks: 0 is the most valuable class; times are monotonic seconds."""

    def __init__(self, entries_max: int = ENTRIES_MAX, tokens_max: int = TOKENS_MAX) -> None:
        self._entries_max, self._tokens_max = entries_max, tokens_max
        self._classes: dict[int, list[Waiting[T]]] = {}
        """By rank, each ascending by key: the earliest deadline is the last entry. No empty lists, ranks ascending."""
        self._tokens: dict[int, int] = {}
        self._order = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, item: T, rank: int, deadline_s: float, tokens: int) -> tuple[Waiting[T], list[T]]:
        """Enter a request; return its entry and the items that had to go, worst first, possibly itself."""
        self._order += 1
        entry = Waiting(item, rank, deadline_s, tokens, self._order)
        line = self._classes.get(rank)
        if line is None:
            self._classes[rank], self._tokens[rank] = [entry], 0
            if len(self._classes) > 1:
                self._classes = dict(sorted(self._classes.items()))
        else:
            insort(line, entry)
        self._tokens[rank] += tokens
        self._length += 1
        gone: list[T] = []
        while self._length > self._entries_max or (self._length > 1 and sum(self._tokens.values()) > self._tokens_max):
            gone.append(self._take(self._classes[next(reversed(self._classes))], 0))
        return entry, gone

    def best(self) -> Waiting[T] | None:
        """Return the entry that goes next, without taking it."""
        for line in self._classes.values():
            return line[-1]
        return None

    def pop_ready(self, can_send: Callable[[T], bool]) -> T | None:
        """Take the best request if it can be sent; a lesser one never goes before it, even where it would fit."""
        best = self.best()
        return self._take(self._classes[best.rank], -1) if best is not None and can_send(best.item) else None

    def expired(self, now_s: float) -> list[T]:
        """Take out every request whose deadline has passed, best class first."""
        gone: list[T] = []
        for line in list(self._classes.values()):
            while line and line[-1].deadline_s < now_s:
                gone.append(self._take(line, -1))
        return gone

    def remove(self, entry: Waiting[T]) -> bool:
        """Take out one request (its client left); False when it was not waiting any more."""
        if not entry.is_queued:
            return False
        line = self._classes[entry.rank]
        self._take(line, bisect_left(line, entry))
        return True

    def tokens_ahead(self, rank: int) -> int:
        """Prompt tokens of waiting requests of the same or a better class."""
        return sum(tokens for r, tokens in self._tokens.items() if r <= rank)

    def has_ahead(self, rank: int) -> bool:
        """Whether a request of the same or a better class waits."""
        for best in self._classes:
            return best <= rank
        return False

    def _take(self, line: list[Waiting[T]], index: int) -> T:
        entry = line.pop(index)
        entry.is_queued = False
        self._length -= 1
        self._tokens[entry.rank] -= entry.tokens
        if not line:
            del self._classes[entry.rank], self._tokens[entry.rank]
        return entry.item
