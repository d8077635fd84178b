"""Recent traffic as a card."""

import numpy as np

from gateway.core.pricing.sample import ROWS_MAX, ROWS_MIN, TAKE_EVERY, Sample


def filled(rows: int, models: int = 2, route: str = "auto") -> Sample:
    sample = Sample()
    for i in range(rows):
        sample.add(route, float(i), tuple([0.9] * models), tuple([0.01] * models))
    return sample


def test_too_few_rows_are_no_card() -> None:
    assert filled(ROWS_MIN - 1).card("auto", ("a", "b")) is None
    assert filled(ROWS_MIN).card("auto", ("a", "b")) is not None
    assert filled(ROWS_MIN).card("other", ("a", "b")) is None


def test_a_card_holds_every_request_in_order_until_it_is_full() -> None:
    card = filled(ROWS_MIN).card("auto", ("a", "b"))
    assert card is not None and card.models == ("a", "b")
    assert card.value[:3].tolist() == [0.0, 1.0, 2.0]
    assert card.quality.shape == card.usd.shape == (ROWS_MIN, 2) and card.usd.dtype == np.float64


def test_once_full_one_request_in_four_makes_an_old_one_go() -> None:
    card = filled(ROWS_MAX + 100 * TAKE_EVERY).card("auto", ("a", "b"))
    assert card is not None and card.value.size == ROWS_MAX
    assert card.value[0] == 100.0
    assert card.value[-1] - card.value[-2] == TAKE_EVERY


def test_rows_of_another_number_of_models_do_not_fit_after_an_edit() -> None:
    sample = filled(ROWS_MIN, models=3)
    assert sample.card("auto", ("a", "b")) is None
    assert sample.card("auto", ("a", "b", "c")) is not None


def test_a_card_is_made_anew_when_a_twentieth_of_its_rows_is() -> None:
    sample = filled(ROWS_MIN)
    first = sample.card("auto", ("a", "b"))
    for _ in range(9):
        sample.add("auto", 7.0, (0.9, 0.9), (0.01, 0.01))
    assert sample.card("auto", ("a", "b")) is first
    sample.add("auto", 7.0, (0.9, 0.9), (0.01, 0.01))
    again = sample.card("auto", ("a", "b"))
    assert again is not None and again.value.size == ROWS_MIN + 10 and again.value[-1] == 7.0
    assert sample.card("auto", ("x", "y")) is not again
