"""A model as a whole."""

import pytest

from gateway.core.placement.accounts import PlacementState
from gateway.core.placement.place import Outlook, look
from gateway.core.placement.readiness import is_usable, late_probability, prefill_tokens_per_s, reopens_s
from gateway.domain.catalog import Backend, Model, Tariff

A = Backend("m@a", "http://a:8000/v1", "m", is_self_hosted=True)
B = Backend("m@b", "http://b:8000/v1", "m", is_self_hosted=True)
OWN = Model("own", Tariff(1, 2), 32000, (A, B))


def outlook(wait_s: float, is_bounded: bool = True) -> Outlook:
    return Outlook("now", A, wait_s, is_bounded, False)


def test_an_engine_whose_queue_reaches_the_limit_is_late_every_second_time() -> None:
    assert late_probability(outlook(1.0), 0.001, 1.0) == pytest.approx(0.5)
    assert late_probability(outlook(0.5), 0.001, 1.0) == pytest.approx(1 / 33)
    assert late_probability(outlook(0.1), 0.02, 1.0) == 0.02
    assert late_probability(outlook(0.4), 0.001, 1.0, queue_wait_s=0.6) == pytest.approx(0.5)


def test_recent_lateness_counts_whatever_is_predicted_and_alone_for_hosted_ones() -> None:
    assert late_probability(outlook(0.1), 0.7, 1.0) == 0.7
    assert late_probability(outlook(50.0, is_bounded=False), 0.03, 1.0) == 0.03


def test_usable_while_one_backend_is_and_else_it_says_when_the_first_reopens() -> None:
    state = PlacementState()
    state.account(A.id, "own").breaker.limited(30.0)
    assert is_usable(OWN, 10.0, state) and look(OWN, 10, 10.0, state).backend is B
    state.account(B.id, "own").breaker.limited(17.0)
    assert not is_usable(OWN, 10.0, state)
    assert reopens_s(OWN, 10.0, state) == 7.0 and reopens_s(OWN, 16.9, state) == 1.0


def test_the_prefill_rate_is_that_of_the_backends_that_may_be_sent_to() -> None:
    state = PlacementState()
    assert prefill_tokens_per_s(OWN, 0.0, state) == pytest.approx(20_000)
    state.account(A.id, "own").breaker.limited(30.0)
    assert prefill_tokens_per_s(OWN, 0.0, state) == pytest.approx(10_000)
    state.account(B.id, "own").breaker.limited(30.0)
    assert prefill_tokens_per_s(OWN, 0.0, state) == 0.0
