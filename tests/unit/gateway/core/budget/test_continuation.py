"""Own counts stand for everybody's while the store is silent."""

from gateway.core.budget.continuation import Continuation
from gateway.core.budget.counts import Counts

T = 1_800_000_000.0
SLOT = int(T // 10)


def known() -> Counts:
    counts = Counts()
    counts.add([("n", 100)], T)
    return counts


def test_own_counts_times_the_replicas_are_added_to_what_was_known() -> None:
    counts = known()
    guess = Continuation(counts, 4)
    assert guess.take({SLOT: {"n": 5, "usd": 7}}) == {"n": 20, "usd": 28}
    assert guess.take({SLOT: {"n": 6, "usd": 7}, SLOT + 1: {"n": 1}}) == {"n": 8, "usd": 0}
    assert guess.counts.total("n", T - 3600, T + 60) == 128
    assert counts.total("n", T - 3600, T + 60) == 100, "what the store said stays as it is"


def test_what_was_written_meanwhile_is_not_taken_back_nor_counted_again() -> None:
    guess = Continuation(known(), 2)
    guess.take({SLOT: {"n": 5}})
    assert guess.take({SLOT: {"n": 1}}) == {"n": 0}
    assert guess.take({SLOT: {"n": 3}}) == {"n": 4}


def test_a_replica_that_never_heard_of_others_counts_for_itself() -> None:
    assert Continuation(Counts(), 0).take({SLOT: {"n": 5}}) == {"n": 5}
