"""Hard limits of one tenant, second by second."""

import pytest

from gateway.core.tenants import limits as limits_module
from gateway.core.tenants.limits import LimitState
from gateway.domain.catalog import Limits
from gateway.domain.errors import Reason

DAY_S = 86_400.0
NOON = 20_000 * DAY_S + DAY_S / 2


def test_without_limits_nothing_is_counted_or_refused() -> None:
    state = LimitState()
    assert all(state.take("acme", Limits(), 10**9, 0.0, NOON, 1e9) is None for _ in range(3))


def test_a_minutes_requests_may_come_at_once_and_the_next_waits_exactly_its_turn() -> None:
    state, limits = LimitState(), Limits(rpm=60)
    assert all(state.take("acme", limits, 1, 0.0, NOON) is None for _ in range(60))
    shed = state.take("acme", limits, 1, 0.25, NOON)
    assert shed is not None and shed.reason is Reason.LIMIT_REQUESTS and shed.retry_after_s == pytest.approx(0.75)
    assert state.take("acme", limits, 1, 0.25 + shed.retry_after_s, NOON) is None


def test_tokens_are_taken_as_estimated_and_settled_as_used() -> None:
    state, limits = LimitState(), Limits(tpm=6000)
    assert state.take("acme", limits, 4000, 0.0, NOON) is None
    shed = state.take("acme", limits, 3000, 0.0, NOON)
    assert shed is not None and shed.reason is Reason.LIMIT_TOKENS and shed.retry_after_s == pytest.approx(10.0)
    state.settle("acme", -1000, 0.0)
    assert state.take("acme", limits, 3000, 0.0, NOON) is None
    state.settle("acme", +600, 0.0)
    shed = state.take("acme", limits, 100, 0.0, NOON)
    assert shed is not None and shed.retry_after_s == pytest.approx(7.0)


def test_a_request_larger_than_the_bucket_passes_a_full_one_and_leaves_a_debt() -> None:
    state, limits = LimitState(), Limits(tpm=600)
    assert state.take("acme", limits, 1800, 0.0, NOON) is None
    shed = state.take("acme", limits, 1, 0.0, NOON)
    assert shed is not None and shed.retry_after_s == pytest.approx(120.1)
    assert state.take("acme", limits, 1800, 179.0, NOON) is not None
    assert state.take("acme", limits, 1800, 180.0, NOON) is None


def test_dollars_are_counted_by_the_day_of_utc() -> None:
    state, limits = LimitState(), Limits(usd_per_day=1.0)
    assert state.take("acme", limits, 1, 0.0, NOON, usd=0.6) is None
    shed = state.take("acme", limits, 1, 1.0, NOON + 1, usd=0.6)
    assert shed is not None and shed.reason is Reason.LIMIT_USD and shed.retry_after_s == DAY_S / 2 - 1
    state.settle("acme", 0, -0.3)
    assert state.take("acme", limits, 1, 2.0, NOON + 2, usd=0.6) is None
    state.settle("acme", 0, 0.2)
    assert state.take("acme", limits, 1, 3.0, NOON + 3) is not None
    assert state.take("acme", limits, 1, 4.0, NOON + DAY_S / 2, usd=0.6) is None


def test_a_refusal_uses_nothing_up() -> None:
    state, limits = LimitState(), Limits(rpm=2, tpm=100, usd_per_day=1.0)
    assert state.take("acme", limits, 60, 0.0, NOON, usd=0.1) is None
    for _ in range(5):
        shed = state.take("acme", limits, 60, 0.0, NOON, usd=0.1)
        assert shed is not None and shed.reason is Reason.LIMIT_TOKENS
    assert state.take("acme", limits, 40, 0.0, NOON, usd=0.1) is None
    assert state._uses["acme"].usd == pytest.approx(0.2)


def test_tenants_do_not_share_and_a_limit_of_nothing_lets_nothing_through() -> None:
    state = LimitState()
    assert state.take("acme", Limits(rpm=1), 1, 0.0, NOON) is None and state.take("other", Limits(rpm=1), 1, 0.0, NOON) is None
    nothing = {Reason.LIMIT_REQUESTS: Limits(rpm=0), Reason.LIMIT_TOKENS: Limits(tpm=0), Reason.LIMIT_USD: Limits(usd_per_day=0.0)}
    for reason, none in nothing.items():
        shed = state.take("nobody", none, 5, 0.0, NOON)
        assert shed is not None and shed.reason is reason and shed.retry_after_s > 0


def test_a_lower_limit_counts_at_once_and_a_higher_one_fills_from_now_on() -> None:
    state = LimitState()
    assert state.take("acme", Limits(rpm=600), 1, 0.0, NOON) is None
    assert state.take("acme", Limits(rpm=1), 1, 0.0, NOON) is None
    assert state.take("acme", Limits(rpm=1), 1, 0.0, NOON) is not None
    assert state.take("acme", Limits(rpm=600), 1, 0.0, NOON) is not None
    assert state.take("acme", Limits(rpm=600), 1, 0.1, NOON) is None


def test_memory_is_bounded_by_the_configuration_and_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "TENANTS_MAX", 5)
    state = LimitState()
    for i in range(8):
        state.take(f"t{i}", Limits(rpm=1), 1, 0.0, NOON)
    assert len(state._uses) == 5
    state.retain(["t7"])
    assert list(state._uses) == ["t7"]
    state.settle("gone", 5, 1.0)
