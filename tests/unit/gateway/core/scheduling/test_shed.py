"""Refusals of our own."""

import pytest

from gateway.core.scheduling.shed import deadline_shed, expired_shed, overload_shed, retry_after_s
from gateway.domain.errors import Reason


def test_retry_after_is_the_estimate_spread_by_thirty_percent_within_bounds() -> None:
    assert [retry_after_s(10.0, u) for u in (0.0, 0.5, 1.0)] == pytest.approx([7.0, 10.0, 13.0])
    assert retry_after_s(0.1, 0.9) == 1.0 and retry_after_s(1e9, 0.1) == 120.0 and retry_after_s(-5.0, 0.5) == 1.0


def test_each_refusal_carries_its_reason_and_when_to_come_back() -> None:
    late = deadline_shed(12.0, 2.0, 0.5)
    assert late.reason is Reason.SHED_DEADLINE and late.retry_after_s == 10.0 and "12.0 s" in late.message and "2.0 s" in late.message
    assert overload_shed(20.0, 0.5).reason is Reason.SHED_OVERLOAD and overload_shed(20.0, 0.5).retry_after_s == 20.0
    assert expired_shed(3.0, 0.5).reason is Reason.SHED_DEADLINE and expired_shed(3.0, 0.5).retry_after_s == 3.0
