"""How fast a queue moves, for each class."""

import pytest

from gateway.core.scheduling.drain import AVAILABLE_MIN, Drain


def test_without_evidence_it_is_the_prefill_rate() -> None:
    assert Drain().available(1, 8000.0) == 8000.0


def test_a_busy_minute_teaches_what_the_backends_really_take() -> None:
    drain = Drain()
    drain.waiting(0.0)
    for i in range(1, 121):
        drain.sent(1, 1000, i / 2)
    assert drain.available(1, 8000.0) == pytest.approx(2000.0, rel=0.25)
    assert drain.available(1, 2000.0) == pytest.approx(2000.0, rel=0.05)


def test_what_better_classes_take_is_not_there_for_the_lower_ones() -> None:
    drain = Drain()
    drain.waiting(0.0)
    for i in range(1, 121):
        drain.sent(0, 750, i / 2)
        drain.sent(1, 250, i / 2)
    whole = drain.available(0, 2000.0)
    assert whole == pytest.approx(2000.0, rel=0.05)
    assert drain.available(1, 2000.0) == pytest.approx(whole / 4, rel=0.25)
    assert drain.available(2, 0.0) == pytest.approx(AVAILABLE_MIN * drain.available(0, 0.0))


def test_idle_time_between_two_queues_does_not_count() -> None:
    drain = Drain()
    for start_s in (0.0, 1000.0):
        drain.waiting(start_s)
        drain.sent(1, 1000, start_s + 0.5)
        drain.rest(start_s + 0.5)
    assert drain.available(1, 2000.0) == pytest.approx(2000.0, rel=0.01)


def test_what_is_sent_while_nobody_waits_is_no_evidence() -> None:
    drain = Drain()
    drain.sent(1, 100_000, 5.0)
    drain.rest(6.0)
    assert drain.available(1, 3000.0) == 3000.0
