"""How fast a queue moves."""

import pytest

from gateway.core.scheduling.drain import Drain


def test_without_evidence_it_is_the_prefill_rate() -> None:
    assert Drain().tokens_per_s(8000.0) == 8000.0


def test_a_busy_minute_teaches_what_the_backends_really_take() -> None:
    drain = Drain()
    drain.waiting(0.0)
    for i in range(1, 121):
        drain.left(1000, i / 2, is_empty=False)
    assert drain.tokens_per_s(8000.0) == pytest.approx(2000.0, rel=0.5)
    assert drain.tokens_per_s(2000.0) == pytest.approx(2000.0, rel=0.05)


def test_idle_time_between_two_queues_does_not_count() -> None:
    drain = Drain()
    drain.waiting(0.0)
    drain.left(1000, 0.5, is_empty=True)
    drain.waiting(1000.0)
    drain.left(1000, 1000.5, is_empty=True)
    assert drain.tokens_per_s(2000.0) == pytest.approx(2000.0, rel=0.01)


def test_a_request_that_never_waited_is_no_evidence() -> None:
    drain = Drain()
    drain.left(100_000, 5.0, is_empty=True)
    assert drain.tokens_per_s(3000.0) == 3000.0
