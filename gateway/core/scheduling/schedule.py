"""Schedule: send now, wait, or be refused; one queue per model.

Theory: an engine's own queue knows no classes and no deadlines, so ours holds back what exceeds the engines' token
bounds. The rules, in this order:

1. Room now and nobody of the same or a better class waiting: send. A delay in the engine that the deadline does not
   allow is refused here, not after a slot was spent on it ("drop at dispatch").
2. Otherwise wait, unless the estimate (tokens ahead in same or better classes, own included, over what `Drain` says is
   left to this class) says that the deadline cannot be met: SHED_DEADLINE at once instead of after the deadline.
3. The queue is full: the worst of the lowest class goes with SHED_OVERLOAD, which may be the newcomer.
4. What still waits at its deadline is refused, and so is a head whose delay in the engine has grown too long.

The delay handed in is 0 for idle engines and hosted APIs (`Outlook.delay_s` of placement), so a request is never refused
for its own length. Memory survives a config swap: queues by model name, nothing of a config version.
Source: reference/serving_systems.md sections 0 (findings 1 and 2) and 3.1.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from gateway.core.scheduling.drain import Drain
from gateway.core.scheduling.queue import ENTRIES_MAX, Queue, Waiting
from gateway.core.scheduling.shed import deadline_shed, expired_shed, overload_shed
from gateway.domain.decision import Shed

T = TypeVar("T", bound=Hashable)


class Line(Generic[T]):
    """One model's queue and how fast it moves."""

    __slots__ = ("drain", "prefill_tokens_per_s", "queue")

    def __init__(self, entries_max: int) -> None:
        self.queue: Queue[T] = Queue(entries_max)
        self.drain = Drain()
        self.prefill_tokens_per_s = 1.0

    def estimate_s(self, rank: int, tokens: int = 0) -> float:
        """Seconds until what is ahead of a request of this rank, and its own tokens, have left the queue."""
        rate = self.drain.available(rank, self.prefill_tokens_per_s)
        return (self.queue.tokens_ahead(rank) + tokens) / max(rate, 1.0)


class Held(Generic[T]):
    """Where one waiting item is."""

    __slots__ = ("draw", "entry", "line")

    def __init__(self, line: Line[T], entry: Waiting[T], draw: float) -> None:
        self.line, self.entry, self.draw = line, entry, draw


class Schedule(Generic[T]):
    """All queues of this process; `T` is what waits (hashed by identity, waits once)."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._lines: dict[str, Line[T]] = {}
        self._held: dict[T, Held[T]] = {}
        self._evicted: dict[T, Shed] = {}

    def admit(
        self,
        item: T,
        model: str,
        rank: int,
        deadline_s: float,
        tokens: int,
        delay_s: float | None,
        prefill_tokens_per_s: float,
        now_s: float,
        draw: float,
    ) -> bool | Shed:
        """Decide on a new request: True: send it now; False: it waits here from now on.

        Args:
            rank: of its class, 0 is the best.
            deadline_s: latest time of the first token.
            tokens: of its prompt.
            delay_s: seconds to the first token that the backend's queue would cost it now; None: no room.
            prefill_tokens_per_s: of the model's usable backends together.
            draw: in [0, 1), spreads its Retry-After, now or later.
        """
        left_s = deadline_s - now_s
        line = self._lines.get(model)
        if delay_s is not None and (line is None or not line.queue.has_ahead(rank)):
            # No delay is always allowed, even after the deadline: the first token is late then, but not for a queue.
            if delay_s > max(left_s, 0.0):
                return deadline_shed(delay_s, left_s, draw)
            if line is not None:
                line.drain.sent(rank, tokens, now_s)
            return True
        if line is None:
            line = self._lines[model] = Line(self._entries_max)
        line.prefill_tokens_per_s = prefill_tokens_per_s
        estimate_s = line.estimate_s(rank, tokens)
        if estimate_s > left_s:
            return deadline_shed(estimate_s, left_s, draw)
        entry, gone = line.queue.push(item, rank, deadline_s, tokens)
        line.drain.waiting(now_s)
        self._held[item] = Held(line, entry, draw)
        for one in gone:
            held = self._held.pop(one)
            self._evicted[one] = overload_shed(line.estimate_s(held.entry.rank), held.draw)
        return False if entry.is_queued else self._evicted.pop(item)

    def pop_ready(self, model: str, now_s: float, delay_of: Callable[[T], float | None]) -> tuple[T, Shed | None] | None:
        """Take out the best waiting request of a model: to be sent (None), or refused; None when it has to go on waiting.

        Ask again after it has been sent, so that `delay_of` sees its load.

        Args:
            delay_of: as `admit`'s `delay_s`, for the best request only: a lesser one never overtakes it.
        """
        line = self._lines.get(model)
        best = line.queue.best() if line is not None else None
        if line is None or best is None or (delay_s := delay_of(best.item)) is None:
            return None
        line.queue.remove(best)
        held = self._held.pop(best.item)
        left_s = best.deadline_s - now_s
        is_sent = delay_s <= max(left_s, 0.0)
        if is_sent:
            line.drain.sent(best.rank, best.tokens, now_s)
        self._rest(line, now_s)
        return best.item, None if is_sent else deadline_shed(delay_s, left_s, held.draw)

    def refused(self, now_s: float) -> list[tuple[T, Shed]]:
        """Take out the requests whose deadline has passed, and those that had to make room since the last call."""
        out = list(self._evicted.items())
        self._evicted = {}
        for line in self._lines.values():
            for item in line.queue.expired(now_s):
                held = self._held.pop(item)
                out.append((item, expired_shed(line.estimate_s(held.entry.rank), held.draw)))
                self._rest(line, now_s)
        return out

    def remove(self, item: T, now_s: float) -> bool:
        """Take out a request whose client left; False when it does not wait here."""
        held = self._held.pop(item, None)
        if held is None:
            return self._evicted.pop(item, None) is not None
        held.line.queue.remove(held.entry)
        self._rest(held.line, now_s)
        return True

    def estimate_s(self, model: str, rank: int, tokens: int) -> float:
        """Return the expected seconds in the queue of a request that came now; 0 when none of its rank would be ahead."""
        line = self._lines.get(model)
        return line.estimate_s(rank, tokens) if line is not None and line.queue.has_ahead(rank) else 0.0

    def models(self) -> list[str]:
        """Return the names of models for which somebody waits."""
        return [name for name, line in self._lines.items() if len(line.queue)]

    def retain(self, models: Iterable[str]) -> None:
        """Forget the empty queues of models that are not on offer any more."""
        keep = set(models)
        self._lines = {name: line for name, line in self._lines.items() if name in keep or len(line.queue)}

    @property
    def waiting(self) -> int:
        """Requests that wait here, and evicted ones that `refused` has not handed out yet."""
        return len(self._held) + len(self._evicted)

    @staticmethod
    def _rest(line: Line[T], now_s: float) -> None:
        if not len(line.queue):
            line.drain.rest(now_s)
