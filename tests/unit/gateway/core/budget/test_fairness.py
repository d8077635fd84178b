"""Are tenants served alike?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.budget.fairness import REQUESTS_MIN, SPAN_S, Fairness
from gateway.domain.errors import Reason


def ended(made: Fairness, tenant: str, served: int, shed: int, now_s: float = 1.0) -> None:
    for _ in range(served):
        made.ended(tenant, Reason.SERVED, now_s)
    for _ in range(shed):
        made.ended(tenant, Reason.SHED_OVERLOAD, now_s)


def test_one_tenant_alone_says_nothing_nor_do_a_few_requests() -> None:
    made = Fairness()
    ended(made, "a", 100, 0)
    ended(made, "b", 0, REQUESTS_MIN - 1)
    assert made.index(1.0) is None


def test_all_alike_is_one_however_much_they_ask() -> None:
    made = Fairness()
    ended(made, "a", 90, 10)
    ended(made, "b", 9, 1)
    assert made.index(1.0) == pytest.approx(1.0)
    starved = Fairness()
    ended(starved, "a", 0, 10)
    ended(starved, "b", 0, 10)
    assert starved.index(1.0) == 1.0


def test_who_gets_everything_leaves_one_over_the_number() -> None:
    made = Fairness()
    ended(made, "a", 10, 0)
    for other in "bcd":
        ended(made, other, 0, 10)
    assert made.index(1.0) == pytest.approx(1 / 4)


def test_ones_own_mistakes_and_limits_are_not_unfair() -> None:
    made = Fairness()
    ended(made, "a", 10, 0)
    ended(made, "b", 10, 0)
    for reason in (Reason.LIMIT_REQUESTS, Reason.BAD_REQUEST, Reason.CLIENT_CANCELLED):
        for _ in range(20):
            made.ended("b", reason, 1.0)
    assert made.index(1.0) == pytest.approx(1.0)


def test_what_is_over_is_forgotten_after_two_spans() -> None:
    made = Fairness()
    ended(made, "a", 10, 0)
    ended(made, "b", 0, 10)
    assert made.index(SPAN_S + 1) == pytest.approx(0.5)
    ended(made, "b", 30, 0, SPAN_S + 2)
    assert made.index(SPAN_S + 3) == pytest.approx((1 + 0.75) ** 2 / (2 * (1 + 0.75**2)))
    assert made.index(10 * SPAN_S) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=8))
def test_the_index_lies_between_one_over_the_number_and_one(tenants: list[tuple[int, int]]) -> None:
    made = Fairness()
    for i, (served, shed) in enumerate(tenants):
        ended(made, str(i), served, shed)
    index = made.index(1.0)
    assert index is None or 1 / len(tenants) - 1e-9 <= index <= 1 + 1e-9
