"""From gain to win rate and back, and the threshold that people see."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.core.pricing.card import Card
from gateway.core.pricing.terms import Terms
from gateway.core.pricing.threshold import Gain, alpha, alpha_ref

BENT = Gain(((0.0, -0.2), (0.4, 0.0), (0.6, 0.3), (1.0, 0.5)))


def test_the_gain_runs_straight_between_its_knots() -> None:
    assert BENT.gain(0.2) == pytest.approx(-0.1)
    assert BENT.gain(0.5) == pytest.approx(0.15)
    assert BENT.win_rate(0.15) == pytest.approx(0.5)
    assert BENT.win_rate(0.4) == pytest.approx(0.8)


def test_beyond_the_knots_lies_the_nearest_end() -> None:
    assert (BENT.win_rate(-1.0), BENT.win_rate(9.0)) == (0.0, 1.0)
    assert (BENT.gain(-1.0), BENT.gain(2.0)) == (-0.2, 0.5)


@pytest.mark.parametrize(
    "knots", [(), ((0.0, 0.0),), ((0.0, 0.0), (1.0, 0.0)), ((0.0, 0.0), (0.0, 1.0)), ((0.0, 0.3), (0.5, 0.2), (1.0, 0.9))]
)
def test_a_flat_or_falling_gain_is_refused_since_some_share_could_not_be_reached(knots: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="strictly increasing"):
        Gain(knots)


steps = st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.001, 1)), min_size=1, max_size=12)


@st.composite
def gains(draw: st.DrawFn) -> Gain:
    """Knots of random distances, from win rate 0 to 1."""
    made, at, gain = draw(steps), 0.0, draw(st.floats(-1, 0.5))
    width = sum(dx for dx, _ in made)
    knots = [(0.0, gain)]
    for dx, dy in made:
        at, gain = at + dx, gain + dy
        knots.append((at / width, gain))
    return Gain((*knots[:-1], (1.0, gain)))


@given(gains(), st.floats(0, 1))
def test_win_rate_and_gain_undo_each_other(gain: Gain, rate: float) -> None:
    assert gain.win_rate(gain.gain(rate)) == pytest.approx(rate, abs=1e-6)


@given(gains(), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_win_rate_is_a_higher_gain(gain: Gain, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert gain.gain(low) <= gain.gain(high)
    assert 0.0 <= gain.win_rate(a - 0.5) <= 1.0


def test_alpha_is_the_win_rate_at_which_the_gain_pays_for_the_price() -> None:
    # Healthy, equal success: 0.15 mean request values for a request of 0.5 of the mean value must gain 0.3.
    assert alpha(BENT, priced=0.15, value=0.5, strong_success=1.0, weak_success=1.0, weak_quality=0.7) == pytest.approx(0.6)


def test_a_strong_model_that_fails_more_often_needs_more_gain() -> None:
    # 0.6 * (1.0 - 0.5) / 0.5 = 0.6: beyond the last knot.
    assert alpha(BENT, 0.0, 1.0, 0.5, 1.0, 0.6) == 1.0
    assert alpha(BENT, 0.0, 1.0, 0.8, 1.0, 0.6) == pytest.approx(BENT.win_rate(0.15))
    assert alpha(BENT, 0.0, 1.0, 1.0, 0.8, 0.6) == pytest.approx(BENT.win_rate(-0.12))


def test_a_strong_model_that_always_fails_is_no_division_by_zero() -> None:
    assert alpha(BENT, 0.0, 1.0, 0.0, 1.0, 0.6) == 1.0


@settings(max_examples=200)
@given(st.floats(-0.3, 0.6), st.floats(0, 1), st.floats(0.1, 5), st.floats(-0.5, 0.8), st.floats(0.2, 1), st.floats(0.2, 1))
def test_alpha_says_what_the_scores_say(g: float, weak: float, v: float, priced: float, a_s: float, a_w: float) -> None:
    wide = Gain(((0.0, -20.0), (1.0, 20.0)))
    margin = v * ((weak + g) * a_s - weak * a_w) - priced
    assume(abs(margin) > 1e-6)
    assert (wide.win_rate(g) > alpha(wide, priced, v, a_s, a_w, weak)) == (margin > 0)


# -- the threshold of the median request -------------------------------------------------------------------------------

CARD = Card(("strong", "weak"), np.array([1.0, 3.0, 8.0]), np.full((3, 2), 0.5), np.array([[0.01, 0.004], [0.02, 0.004], [0.5, 0.1]]))


def terms(*per_unit: tuple[str, float], fixed: float | None = None) -> Terms:
    return Terms(per_unit, 4.0, fixed, 0.02, 1)


def test_without_prices_the_better_answer_is_the_threshold() -> None:
    assert alpha_ref(BENT, CARD, terms()) == pytest.approx(0.4)


def test_prices_alone_move_it() -> None:
    # Median difference 0.016 dollars at 12.5 values per dollar is 0.2; half of that with a quality price of 1.
    assert alpha_ref(BENT, CARD, terms(("cost", 12.5))) == pytest.approx(BENT.win_rate(0.2))
    assert alpha_ref(BENT, CARD, terms(("cost", 12.5), ("quality", 1.0))) == pytest.approx(BENT.win_rate(0.1))
    assert alpha_ref(BENT, CARD, terms(("cost", 12.5), ("availability", 5.0), ("ttft", 5.0))) == pytest.approx(BENT.win_rate(0.2))


def test_a_fixed_threshold_is_shown_as_it_is() -> None:
    assert alpha_ref(BENT, CARD, terms(("cost", 12.5), fixed=0.77)) == 0.77


def test_a_class_of_more_value_has_a_lower_threshold_and_the_mean_one_that_of_everybody() -> None:
    made = terms(("cost", 12.5), ("quality", 1.0))
    assert alpha_ref(BENT, CARD, made, 1.0) == alpha_ref(BENT, CARD, made)
    assert alpha_ref(BENT, CARD, made, 3.0) == pytest.approx(BENT.win_rate(0.2 / 4.0))
    assert [alpha_ref(BENT, CARD, made, v) for v in (3.0, 1.0, 0.2)] == sorted(alpha_ref(BENT, CARD, made, v) for v in (3.0, 1.0, 0.2))
