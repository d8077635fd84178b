"""The journal against a store that loses replies, restarts older and forgets everything: totals stay exact."""

import random
from collections import deque
from collections.abc import Callable

import pytest

from gateway.edges.store.journal import Batch, Journal


class Ledger:
    """The rule of `lua/flush.lua`, and a server that can come back older than it was."""

    def __init__(self) -> None:
        self.last, self.total = 0, 0
        self.history = [(0, 0)]

    def apply(self, batch: Batch, believed: int) -> int:
        if batch.seq > self.last == believed:
            self.total += batch.slots[0]["n"]
            self.last = batch.seq
            self.history.append((self.last, self.total))
        return self.last

    def roll_back(self, steps: int) -> None:
        del self.history[max(1, len(self.history) - steps) :]
        self.last, self.total = self.history[-1]


def test_batches_go_out_in_order_and_once() -> None:
    journal, store = Journal(), Ledger()
    for n in (1, 2, 4):
        journal.seal({0: {"n": n}})
    sent = []
    while (waiting := journal.next()) is not None:
        sent.append(waiting[0].seq)
        assert journal.heard(store.apply(*waiting), 0.0) == 1
    assert sent == [1, 2, 3]
    assert (store.total, journal.pending) == (7, 0)


def test_what_the_store_has_not_is_known_at_any_time() -> None:
    journal = Journal()
    for n in (1, 2, 4):
        journal.seal({0: {"n": n}})
    journal.heard(1, 0.0)
    assert journal.unacknowledged() == [{0: {"n": 2}}, {0: {"n": 4}}]
    journal.heard(3, 0.0)
    assert journal.unacknowledged() == []
    journal.heard(2, 0.0)
    assert journal.unacknowledged() == [{0: {"n": 4}}], "rolled back"


def test_a_lost_reply_is_asked_again_and_changes_nothing() -> None:
    journal, store = Journal(), Ledger()
    journal.seal({0: {"n": 5}})
    waiting = journal.next()
    assert waiting is not None
    store.apply(*waiting)
    assert journal.pending == 1
    again = journal.next()
    assert again is not None
    assert journal.heard(store.apply(*again), 0.0) == 1
    assert store.total == 5


def test_a_rolled_back_store_gets_the_missing_batches_again() -> None:
    journal, store = Journal(), Ledger()
    for n in range(1, 11):
        journal.seal({0: {"n": n}})
        waiting = journal.next()
        assert waiting is not None
        journal.heard(store.apply(*waiting), float(n))
    store.roll_back(4)
    assert journal.heard(store.last, 11.0) == 0
    assert (journal.rollbacks, journal.pending) == (1, 4)
    while (waiting := journal.next()) is not None:
        journal.heard(store.apply(*waiting), 12.0)
    assert (store.total, journal.lost_batches) == (55, 0)


def test_an_emptied_store_starts_at_the_oldest_batch_held_and_the_rest_is_reported() -> None:
    journal, store = Journal(ring_s=120.0), Ledger()
    for n in range(1, 301):
        journal.seal({0: {"n": 1}})
        waiting = journal.next()
        assert waiting is not None
        journal.heard(store.apply(*waiting), float(n))
    store.roll_back(1000)
    journal.heard(0, 300.0)
    while (waiting := journal.next()) is not None:
        journal.heard(store.apply(*waiting), 300.0)
    assert store.total == 121, "the ring holds 120 s and the batch on its edge"
    assert journal.lost_batches == 300 - 121


def test_nothing_is_forgotten_while_the_store_is_silent() -> None:
    journal, store = Journal(ring_s=120.0), Ledger()
    for n in (1, 2):
        journal.seal({0: {"n": n}})
        waiting = journal.next()
        assert waiting is not None
        journal.heard(store.apply(*waiting), 0.0)
    journal.seal({0: {"n": 4}})
    store.roll_back(1)
    waiting = journal.next()  # An hour later the store is back, one batch short.
    assert waiting is not None
    assert store.apply(*waiting) == 1
    journal.heard(1, 3600.0)
    while (waiting := journal.next()) is not None:
        journal.heard(store.apply(*waiting), 3600.0)
    assert store.total == 7


def replay(seed: int, roll_backs: Callable[[random.Random, int], int], draw_n: Callable[[random.Random], int]) -> tuple[int, int, Journal]:
    """Run 3,000 steps: 20 % of flushes skipped, 15 % of replies lost, stale copies; return expected and stored totals."""
    draw = random.Random(seed)
    journal, store, expected = Journal(ring_s=120.0), Ledger(), 0
    copies: deque[tuple[Batch, int]] = deque(maxlen=50)
    for step in range(3000):
        n = draw_n(draw)
        journal.seal({0: {"n": n}})
        expected += n
        if steps := roll_backs(draw, step):
            store.roll_back(steps)
        if draw.random() < 0.2:
            continue
        while (waiting := journal.next()) is not None:
            last = store.apply(*waiting)
            copies.append(waiting)
            if draw.random() < 0.15:
                break
            journal.heard(last, float(step))
        if copies and draw.random() < 0.2:
            store.apply(*draw.choice(copies))
    journal.heard(store.last, 3000.0)
    while (waiting := journal.next()) is not None:
        journal.heard(store.apply(*waiting), 3000.0)
    return expected, store.total, journal


@pytest.mark.parametrize("seed", range(20))
def test_totals_are_exact_through_fifteen_roll_backs(seed: int) -> None:
    expected, total, journal = replay(seed, lambda draw, step: draw.randint(1, 70) if step % 190 == 189 else 0, lambda d: d.randint(1, 9))
    assert total == expected
    assert journal.lost_batches == 0
    assert 10 <= journal.rollbacks <= 15, "one that took only what was never acknowledged is not seen as one"


@pytest.mark.parametrize("seed", range(20))
def test_what_a_store_loses_beyond_the_ring_is_reported_to_the_batch(seed: int) -> None:
    expected, total, journal = replay(seed, lambda draw, step: draw.randint(200, 900) if step == 1500 else 0, lambda _: 1)
    assert journal.lost_batches > 0
    assert total == expected - journal.lost_batches
