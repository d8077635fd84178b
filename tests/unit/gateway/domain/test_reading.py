"""A measured ratio with its evidence."""

import pytest

from gateway.domain.reading import Reading


def test_nothing_counted_is_no_data_rather_than_a_perfect_record() -> None:
    assert Reading(bad=0, valid=0, window_s=300).ratio is None
    assert Reading(bad=0, valid=5, window_s=300).ratio == 0.0


def test_the_ratio_is_bad_of_valid() -> None:
    assert Reading(bad=1, valid=4, window_s=300).ratio == pytest.approx(0.25)
