"""Recent traffic as a card."""

import numpy as np

from gateway.core.pricing.sample import ROWS_MAX, ROWS_MIN, TAKE_EVERY, Sample


def filled(rows: int, models: int = 2, route: str = "auto") -> Sample:
    sample = Sample()
    for i in range(rows * TAKE_EVERY):
        sample.add(route, float(i), tuple([0.9] * models), tuple([0.01] * models))
    return sample


def test_too_few_rows_are_no_card() -> None:
    assert filled(ROWS_MIN - 1).card("auto", ("a", "b")) is None
    assert filled(ROWS_MIN).card("auto", ("a", "b")) is not None
    assert filled(ROWS_MIN).card("other", ("a", "b")) is None


def test_a_card_holds_one_request_in_four_in_order() -> None:
    card = filled(ROWS_MIN).card("auto", ("a", "b"))
    assert card is not None and card.models == ("a", "b")
    assert card.value[:3].tolist() == [3.0, 7.0, 11.0]
    assert card.quality.shape == card.usd.shape == (ROWS_MIN, 2) and card.usd.dtype == np.float64


def test_old_requests_make_room() -> None:
    card = filled(ROWS_MAX + 100).card("auto", ("a", "b"))
    assert card is not None and card.value.size == ROWS_MAX and card.value[0] == TAKE_EVERY * 101 - 1


def test_rows_of_another_number_of_models_do_not_fit_after_an_edit() -> None:
    sample = filled(ROWS_MIN, models=3)
    assert sample.card("auto", ("a", "b")) is None
    assert sample.card("auto", ("a", "b", "c")) is not None
