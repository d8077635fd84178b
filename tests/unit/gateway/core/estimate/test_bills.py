"""What a model charges over what was expected, and how soon a change is believed."""

import json
from collections.abc import Iterable
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.estimate.bills import BILLS_MAX, FACTOR_MIN, FIRST, LEAST, Bills

SIGMA = 0.63
"""Of the logarithm of single bills: they scatter by 0.7, as in the judge's worlds."""


def told(bills: Bills, times: Iterable[float]) -> Bills:
    for t in times:
        bills.take(1, t, 1.0)
    return bills


def scattered(seed: int, times: float, bills: int) -> list[float]:
    rng = np.random.Generator(np.random.PCG64(seed))
    return [float(x) for x in times * rng.lognormal(-SIGMA * SIGMA / 2, SIGMA, bills)]


def until_believed(bills: Bills, stream: Iterable[float], at_most: float, at_least: float = 0.0) -> float:
    for i, t in enumerate(stream):
        if at_least <= told(bills, [t]).factor <= at_most:
            return i + 1
    return float("inf")


def test_list_prices_count_as_a_hundred_bills() -> None:
    assert told(Bills(), [1.5]).factor == pytest.approx((FIRST + 1.5) / (FIRST + 1))


def test_an_average_of_many_bills_moves_little_with_each() -> None:
    bills = told(Bills(), [1.0] * 1000)
    assert bills.counted == BILLS_MAX and told(bills, [1.5]).factor == pytest.approx(1 + 0.5 / BILLS_MAX)


def test_scatter_is_averaged() -> None:
    factors, bills = [], Bills()
    for t in scattered(3, 1.0, 20_000):
        factors.append(told(bills, [t]).factor)
    assert np.std(factors) < 0.035 and np.mean(factors) == pytest.approx(1.0, abs=0.01)


def test_a_price_that_falls_by_a_third_is_believed_after_some_forty_bills() -> None:
    after = [until_believed(told(Bills(), scattered(s, 1.5, 800)), scattered(99 + s, 1.0, 400), 1.2) for s in range(40)]
    assert median(after) <= 50 and max(after) <= 110


def test_a_price_that_rises_by_half_is_believed_after_some_eighty_bills() -> None:
    after = [until_believed(told(Bills(), scattered(s, 1.0, 800)), scattered(99 + s, 1.5, 400), 9.0, 1.3) for s in range(40)]
    assert median(after) <= 110 and sorted(after)[35] <= 250


def test_six_times_the_price_is_believed_with_the_sixteenth_bill() -> None:
    bills = told(Bills(), [1.0] * 600)
    assert told(bills, [6.0] * 15).factor < 1.2
    assert told(bills, [6.0]).factor == pytest.approx(6.0) and bills.counted == 16


def test_nothing_is_believed_of_fewer_bills_than_fifteen_however_low() -> None:
    bills = told(Bills(), [6.0] * 600)
    assert told(bills, [1.0] * (int(LEAST) - 1)).factor > 5.5
    assert told(bills, [1.0]).factor == pytest.approx(1.0) and bills.counted == LEAST


def test_one_bill_ten_times_as_high_is_no_change() -> None:
    bills = told(Bills(), [1.0] * 600)
    assert told(bills, [10.0, *[1.0] * 100]).factor == pytest.approx(1.0, abs=0.03)


def test_what_was_held_back_for_hours_is_believed_at_once() -> None:
    bills = told(Bills(), [1.0] * 600)
    bills.take(10_000, 14_500.0, 10_000.0)
    assert bills.factor == pytest.approx(1.45) and bills.counted == BILLS_MAX


def test_a_change_is_dated_from_where_it_began() -> None:
    """The old price's bills are not in the new factor."""
    bills = told(Bills(), [1.0] * 600)
    assert told(bills, [2.0] * 60).factor == pytest.approx(2.0)


def test_any_unit_of_money_will_do() -> None:
    usd, nano = Bills(), Bills()
    for t in scattered(5, 1.3, 500):
        usd.take(1, t * 0.01, 0.01)
        nano.take(1, t * 1e7, 1e7)
    assert usd.factor == pytest.approx(nano.factor)


def test_the_next_writer_goes_on_from_plain_data() -> None:
    bills = told(Bills(), [*[1.0] * 200, *[1.6] * 8])
    other = Bills.of_json(json.loads(json.dumps(bills.as_json())))
    assert other == bills and bills.dearer.bills > 0
    assert told(other, [1.6] * 30).factor == told(bills, [1.6] * 30).factor


def test_a_model_that_bills_nothing_keeps_a_factor() -> None:
    bills = told(Bills(), [0.0] * 100)
    assert bills.factor == FACTOR_MIN
    assert told(bills, [1.0] * 40).factor == pytest.approx(1.0, rel=0.1)


def test_bills_that_scatter_widely_are_no_change_either() -> None:
    """Without lengths that are estimated, single bills scatter by 0.85 and more, which is learned."""
    bills, rng, seen = Bills(), np.random.Generator(np.random.PCG64(8)), 0
    for t in rng.lognormal(-0.5, 1.0, 20_000):
        before = bills.counted
        seen += told(bills, [float(t)]).counted < before
    assert seen <= 25 and 1.0 < bills.variance < 3.0
    assert told(Bills(), [1.0] * 5_000).variance == pytest.approx(0.0, abs=1e-3)


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0.0, 50.0)), min_size=1, max_size=60))
def test_the_factor_stays_among_what_was_billed(told_at: list[tuple[int, float]]) -> None:
    bills = Bills()
    for n, times in told_at:
        bills.take(n, n * times, float(n))
    ratios = [1.0, FACTOR_MIN, *(times for _, times in told_at)]
    assert min(ratios) <= bills.factor * (1 + 1e-9) and bills.factor <= max(ratios) * (1 + 1e-9)
    assert bills.counted <= BILLS_MAX and bills.dearer.score >= 0 and bills.cheaper.score >= 0
