"""The queue against the obvious model of it: one list, sorted."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.core.scheduling.queue import Queue, Waiting

Key = tuple[int, float, int]


class QueueMachine(RuleBasedStateMachine):
    """Random pushes, pops, departures and expiries."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[int] = Queue(entries_max=6, tokens_max=1000)
        self.model: dict[Key, tuple[int, int, Waiting[int]]] = {}
        self.order = 0

    @rule(rank=st.integers(0, 3), deadline_s=st.integers(0, 20).map(float), tokens=st.integers(0, 500))
    def push(self, rank: int, deadline_s: float, tokens: int) -> None:
        self.order += 1
        entry, gone = self.queue.push(self.order, rank, deadline_s, tokens)
        self.model[rank, deadline_s, self.order] = (self.order, tokens, entry)
        expected = []
        while len(self.model) > 6 or (len(self.model) > 1 and sum(t for _, t, _ in self.model.values()) > 1000):
            expected.append(self.model.pop(max(self.model))[0])
        assert gone == expected

    @rule(can_send=st.booleans())
    def pop(self, can_send: bool) -> None:
        item = self.queue.pop_ready(lambda _: can_send)
        assert item == (self.model.pop(min(self.model))[0] if can_send and self.model else None)

    @rule(now_s=st.integers(0, 20).map(float))
    def expire(self, now_s: float) -> None:
        gone = [k for k in sorted(self.model) if k[1] < now_s]
        assert self.queue.expired(now_s) == [self.model.pop(k)[0] for k in gone]

    @rule(which=st.integers(0, 5))
    def leave(self, which: int) -> None:
        if which < len(self.model):
            _, _, entry = self.model.pop(sorted(self.model)[which])
            assert self.queue.remove(entry) and not self.queue.remove(entry)

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.queue) == len(self.model)
        for rank in range(4):
            ahead = {k: t for k, (_, t, _) in self.model.items() if k[0] <= rank}
            assert self.queue.tokens_ahead(rank) == sum(ahead.values()) and self.queue.has_ahead(rank) == bool(ahead)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
