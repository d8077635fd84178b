"""How far verdicts correct predictions."""

from math import sqrt

import pytest

from gateway.core.pricing.verdicts import SURE, factor


def test_without_evidence_predictions_are_believed() -> None:
    assert factor(0, 0, 0, 0) == factor(5, 10, 0, 0) == factor(0, 0, 100, 1000) == factor(3, 10, 0.0, 1000) == 1.0


def test_what_noise_explains_changes_nothing() -> None:
    # 200 expected of 1000 judged: the standard error is 6.3 %.
    assert [factor(bad, 1000, 2000, 10_000) for bad in (176, 200, 224)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("bad", "off"), [(300, 0.5), (100, -0.5)])
def test_a_contradiction_counts_beyond_two_standard_errors(bad: int, off: float) -> None:
    error = SURE * sqrt(0.8 / 200)
    assert factor(bad, 1000, 2000, 10_000) == pytest.approx(1 + off - (error if off > 0 else -error))


def test_the_same_contradiction_counts_more_the_longer_it_is_watched() -> None:
    factors = [factor(0.24 * n, n, 2000, 10_000) for n in (100, 1000, 10_000, 1_000_000)]
    assert factors == sorted(factors) and factors[0] == 1.0 and factors[-1] == pytest.approx(1.2, abs=0.01)


def test_a_router_that_expects_only_bad_answers_is_corrected_without_noise() -> None:
    assert factor(30, 100, 500, 500) == pytest.approx(0.3)
