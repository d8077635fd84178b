"""Which way budgets move with what is counted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.budget.burn import burn_rate
from gateway.core.budget.counts import Counts
from gateway.core.budget.forecast import Forecast
from gateway.core.budget.ledger import Judgement, Ledger
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec
from gateway.domain.event import NANO
from gateway.domain.reading import Reading

T = 1_759_968_000.0


def judged(usd: float, arrived: int, elapsed: float, budget: float = 100.0) -> Judgement:
    slo = Slo.of(SloSpec("spend", "cost", Cost.Options(budget, 10_000.0), period=Period("day")))
    counts, ledger = Counts(), Ledger((slo,))
    counts.add([("usd", round(usd * NANO)), ("n", arrived), ("req", arrived)], T)
    ledger.take({}, counts, T + elapsed * DAY_S, is_first=True)
    return ledger.judge(T + elapsed * DAY_S, 0.1, 0.0)[0]


shares = st.floats(0, 0.99)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 1000), st.floats(1e-4, 0.5))
def test_burn_rises_with_each_bad_event(a: int, b: int, more: int, bad_ratio: float) -> None:
    few, many = sorted((a, b))
    low, high = (burn_rate(Reading(bad, many + more, 300), bad_ratio) for bad in (few, many))
    assert low is not None and high is not None and (high > low or few == many)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 200), st.floats(0, 200), st.integers(0, 20_000), shares)
def test_who_has_spent_more_may_not_spend_more_per_request(a: float, b: float, arrived: int, elapsed: float) -> None:
    little, much = sorted((a, b))
    assert judged(much, arrived, elapsed).allowance <= judged(little, arrived, elapsed).allowance


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 200), st.integers(0, 20_000), st.integers(0, 20_000), shares)
def test_more_traffic_than_expected_leaves_less_per_request(usd: float, a: int, b: int, elapsed: float) -> None:
    few, many = sorted((a, b))
    assert judged(min(usd, 100), many, elapsed).allowance <= judged(min(usd, 100), few, elapsed).allowance


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 100), st.integers(0, 20_000), shares, st.floats(50, 300), st.floats(50, 300))
def test_a_raised_budget_never_allows_less(usd: float, arrived: int, elapsed: float, a: float, b: float) -> None:
    small, large = sorted((a, b))
    first, second = (judged(usd, arrived, elapsed, budget) for budget in (small, large))
    assert second.allowance >= first.allowance and second.remaining >= first.remaining


@given(st.floats(1.0, 1e7), st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 100))
def test_something_is_always_still_to_come(requests: float, elapsed: float, arrived: float, rate: float) -> None:
    assert Forecast(DAY_S, requests).left(elapsed * DAY_S, arrived, rate) > 0
    assert Forecast(DAY_S).left(elapsed * DAY_S, arrived, rate) >= 1


events = st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 5)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(events)
def test_the_order_of_counting_does_not_matter(made: list[tuple[int, int]]) -> None:
    forwards, backwards = Counts(), Counts()
    for at, amount in made:
        forwards.add([("n", amount)], T + at)
    for at, amount in reversed(made):
        backwards.add([("n", amount)], T + at)
    for hours in range(14):
        stretch = T + 3600 * hours, T + 3600 * (hours + 1)
        expected = sum(amount for at, amount in made if hours * 3600 <= at < (hours + 1) * 3600)
        assert forwards.total("n", *stretch) == backwards.total("n", *stretch) == expected


@settings(max_examples=60, deadline=None)
@given(events, st.integers(0, 50_000), st.integers(0, 50_000), st.integers(0, 50_000))
def test_two_neighbouring_stretches_sum_to_the_whole_but_for_the_slot_between_them(
    made: list[tuple[int, int]], a: int, b: int, c: int
) -> None:
    first, middle, last = sorted((a, b, c))
    counts = Counts()
    for at, amount in sorted(made):
        counts.add([("n", amount)], T + at)
    whole, parts = (
        counts.total("n", T + first, T + last),
        counts.total("n", T + first, T + middle) + counts.total("n", T + middle, T + last),
    )
    # At most the events of one slot around each cut are split or counted by their share.
    near = sum(amount for at, amount in made if any(abs(at - cut) <= 3600 for cut in (first, middle, last)))
    assert abs(whole - parts) <= near + 1e-6
