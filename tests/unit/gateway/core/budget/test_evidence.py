"""What few events allow to be said."""

from math import comb

import pytest

from gateway.core.budget.evidence import beta_cdf, exceeds, shrunk


@pytest.mark.parametrize(
    ("x", "a", "b", "expected"),
    [(0.3, 1, 1, 0.3), (0.3, 3, 1, 0.027), (0.3, 1, 3, 1 - 0.7**3), (0.5, 7.5, 7.5, 0.5), (0.0, 2, 2, 0.0), (1.0, 2, 2, 1.0)],
)
def test_the_beta_function_at_points_that_are_known(x: float, a: float, b: float, expected: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "k", "p"), [(30, 1, 0.001), (1000, 20, 0.0144), (50_000, 700, 0.0144), (200, 190, 0.9)])
def test_it_is_the_tail_of_the_binomial_at_whole_numbers(n: int, k: int, p: float) -> None:
    if n <= 1000:
        tail = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
        assert beta_cdf(p, k, n - k + 1) == pytest.approx(tail, rel=1e-6)
    assert 0.0 <= beta_cdf(p, k, n - k + 1) <= 1.0


def test_a_small_scope_is_taken_for_its_parent_and_a_large_one_for_itself() -> None:
    assert shrunk(0, 0, 0.02) == 0.02
    assert shrunk(1, 1, 0.0) == pytest.approx(1 / 401)
    assert shrunk(5_000, 10_000, 0.0) == pytest.approx(0.48, abs=0.01)


def test_one_failure_is_never_enough_however_few_there_were() -> None:
    for n in (1, 2, 10, 69, 1000):
        assert not exceeds(1, n, 14.4 * 0.001)
    assert not exceeds(4, 4, 0.0144)


def test_an_outage_is_beyond_doubt_soon() -> None:
    assert exceeds(5, 5, 0.0144) and exceeds(10, 30, 0.0144) and exceeds(30, 1000, 0.0144)


def test_a_ratio_just_above_its_limit_needs_many_events() -> None:
    assert not exceeds(16, 1000, 0.0144)
    assert exceeds(1600, 100_000, 0.0144)
    assert not exceeds(1300, 100_000, 0.0144)


def test_a_limit_beyond_everything_is_never_exceeded() -> None:
    assert not exceeds(1000, 1000, 1.0)
