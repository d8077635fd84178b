"""The choice of one request, rule by rule."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.pricing.terms import Terms
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.route import WHY, Question, choose
from gateway.core.routing.score import score
from gateway.domain.decision import Choice
from gateway.domain.expectation import Expectation

STRONG = Expectation("strong", 0.9, 1.0, 0.0, 0.010, 200)
MIDDLE = Expectation("middle", 0.8, 1.0, 0.0, 0.004, 200)
WEAK = Expectation("weak", 0.6, 1.0, 0.0, 0.001, 200)
GAIN = Gain(((0.0, 0.0), (1.0, 0.5)))
FREE = Terms((), 1.0, None, 0.05, 1)


def dollars(price: float, **more: Any) -> Terms:
    return Terms(**{"per_unit": (("cost", price),), "mean_value": 1.0, "fixed_threshold": None, "probe_share": 0.05, "version": 1, **more})


def question(*es: Expectation, **more: Any) -> Question:
    m = len(es)
    asked = {
        "expectations": es, "usable": (True,) * m, "trial": (False,) * m, "klass_value": 1.0, "draws": (0.5, 0.9),
        "client_threshold": None, "may_set_threshold": False, "pin": None,
    }  # fmt: skip
    return Question(**{**asked, **more})


def change(e: Expectation, **more: Any) -> Expectation:
    return structs.replace(e, **more)


def test_a_lone_candidate_is_taken() -> None:
    choice = choose(question(WEAK), FREE, GAIN)
    assert (choice.model, choice.reason, choice.win_rate, choice.threshold) == ("weak", "only", None, None)
    assert choice.scores[0] == pytest.approx(0.6)


def test_what_is_left_when_the_others_are_down_is_taken() -> None:
    choice = choose(question(STRONG, WEAK, usable=(False, True)), FREE, GAIN)
    assert (choice.model, choice.reason) == ("weak", "down")
    assert choose(question(STRONG, MIDDLE, WEAK, usable=(False, True, False)), FREE, GAIN).model == "middle"


# -- scores ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "model"), [(0.0, "strong"), (30.0, "strong"), (36.0, "weak"), (1000.0, "weak")])
def test_the_gain_of_three_tenths_is_worth_33_a_dollar(price: float, model: str) -> None:
    choice = choose(question(STRONG, WEAK), dollars(price), GAIN)
    assert (choice.model, choice.reason) == (model, "score")
    assert choice.margin == pytest.approx(0.3 - 0.009 * price)


def test_a_request_of_higher_value_may_cost_more() -> None:
    terms = dollars(60.0, mean_value=4.0)
    assert choose(question(STRONG, WEAK, klass_value=10.0), terms, GAIN).model == "strong"
    assert choose(question(STRONG, WEAK, klass_value=3.0), terms, GAIN).model == "weak"


def test_win_rate_and_threshold_tell_the_same_story_as_the_scores() -> None:
    choice = choose(question(STRONG, WEAK), dollars(20.0), GAIN)
    assert choice.win_rate == pytest.approx(0.6) and choice.threshold == pytest.approx(0.36)


def test_a_failing_or_late_model_loses_what_its_budget_charges() -> None:
    failing, late = change(STRONG, success=0.95), change(STRONG, late=0.09)
    assert choose(question(failing, WEAK), Terms((("availability", 5.0),), 1.0, None, 0.0, 1), GAIN).model == "strong"
    assert choose(question(failing, WEAK), Terms((("availability", 5.2),), 1.0, None, 0.0, 1), GAIN).model == "weak"
    assert choose(question(late, WEAK), Terms((("ttft", 3.2),), 1.0, None, 0.0, 1), GAIN).model == "strong"
    assert choose(question(late, WEAK), Terms((("ttft", 3.5),), 1.0, None, 0.0, 1), GAIN).model == "weak"


def test_of_many_the_two_best_are_compared() -> None:
    # At 10 a dollar: 0.8, 0.76, 0.59. At 20: 0.7, 0.72, 0.58. At 80: 0.1, 0.48, 0.52.
    assert choose(question(STRONG, MIDDLE, WEAK), dollars(10.0), GAIN).model == "strong"
    twenty = choose(question(STRONG, MIDDLE, WEAK), dollars(20.0), GAIN)
    assert twenty.model == "middle" and twenty.margin == pytest.approx(-0.02) and twenty.win_rate == pytest.approx(0.2)
    eighty = choose(question(STRONG, MIDDLE, WEAK), dollars(80.0), GAIN)
    assert eighty.model == "weak" and eighty.win_rate == pytest.approx(0.4) and len(eighty.scores) == 3


def test_one_that_is_down_is_not_among_the_two_best() -> None:
    choice = choose(question(STRONG, MIDDLE, WEAK, usable=(True, False, True)), dollars(20.0), GAIN)
    assert choice.model == "strong" and choice.win_rate == pytest.approx(0.6)
    small = Expectation("small", 0.5, 1.0, 0.0, 0.0005, 200)
    choice = choose(question(STRONG, MIDDLE, WEAK, small, usable=(True, False, True, True)), dollars(20.0), GAIN)
    assert choice.model == "strong" and choice.win_rate == pytest.approx(0.6)


# -- soft edge ---------------------------------------------------------------------------------------------------------


def share_of_strong(price: float, n: int = 2000) -> float:
    taken = [choose(question(STRONG, WEAK, draws=((i + 0.5) / n, 0.9)), dollars(price), GAIN) for i in range(n)]
    return sum(c.model == "strong" for c in taken) / n


@pytest.mark.parametrize(("priced", "expected"), [(1 / 1.11, 1.0), (1 / 1.05, 0.75), (1.0, 0.5), (1 / 0.95, 0.25), (1 / 0.89, 0.0)])
def test_near_a_tie_the_draw_splits_the_traffic(priced: float, expected: float) -> None:
    """Gain over price of 1.05 lies half way up the edge of ±10 %: three quarters go strong."""
    assert share_of_strong(priced * 0.3 / 0.009) == pytest.approx(expected, abs=0.002)


def test_a_choice_that_the_draw_turned_says_so() -> None:
    near = dollars(0.3 / 0.009 / 1.05)
    assert choose(question(STRONG, WEAK, draws=(0.9, 0.9)), near, GAIN).reason == "score"
    turned = choose(question(STRONG, WEAK, draws=(0.1, 0.9)), near, GAIN)
    assert (turned.model, turned.reason) == ("weak", "soft_edge") and turned.margin < 0 < turned.scores[0] - turned.scores[1]


def test_without_prices_there_is_nothing_to_split() -> None:
    assert choose(question(STRONG, change(WEAK, quality=0.899), draws=(0.0, 0.9)), FREE, GAIN).model == "strong"


# -- thresholds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "model"), [(0.0, "strong"), (0.599, "strong"), (0.601, "weak"), (1.0, "weak")])
def test_a_laws_fixed_threshold_looks_at_the_gain_alone(threshold: float, model: str) -> None:
    choice = choose(question(STRONG, WEAK, klass_value=99.0), dollars(1000.0, fixed_threshold=threshold), GAIN)
    assert (choice.model, choice.reason, choice.threshold) == (model, "threshold", threshold)


def test_a_fixed_threshold_still_sees_that_a_model_fails() -> None:
    # 0.9 * 0.92 - 0.6 = 0.228, a win rate of 0.456.
    failing = change(STRONG, success=0.92)
    assert choose(question(failing, WEAK), dollars(0.0, fixed_threshold=0.45), GAIN).model == "strong"
    assert choose(question(failing, WEAK), dollars(0.0, fixed_threshold=0.46), GAIN).model == "weak"


@pytest.mark.parametrize(("pin", "model"), [(0.5, "strong"), (0.7, "weak")])
def test_a_pin_comes_before_prices_and_laws(pin: float, model: str) -> None:
    for terms in (dollars(1000.0), FREE, dollars(0.0, fixed_threshold=0.6)):
        choice = choose(question(STRONG, WEAK, pin=pin), terms, GAIN)
        assert (choice.model, choice.reason, choice.threshold) == (model, "pin", pin)


def test_a_pin_on_many_models_decides_between_the_first_and_the_last() -> None:
    assert choose(question(STRONG, MIDDLE, WEAK, pin=0.5), dollars(20.0), GAIN).model == "strong"
    assert choose(question(STRONG, MIDDLE, WEAK, pin=0.7), dollars(20.0), GAIN).model == "weak"


def test_a_clients_threshold_only_makes_it_cheaper() -> None:
    higher = choose(question(STRONG, WEAK, client_threshold=0.8), dollars(20.0), GAIN)
    assert (higher.model, higher.reason, higher.threshold) == ("weak", "client_threshold", 0.8)
    lower = choose(question(STRONG, WEAK, client_threshold=0.1), dollars(60.0), GAIN)
    assert (lower.model, lower.reason) == ("weak", "score")
    needless = choose(question(STRONG, WEAK, client_threshold=0.8), dollars(60.0), GAIN)
    assert (needless.model, needless.reason) == ("weak", "score")
    agreeing = choose(question(STRONG, WEAK, client_threshold=0.1), dollars(20.0), GAIN)
    assert (agreeing.model, agreeing.reason) == ("strong", "score") and agreeing.threshold == pytest.approx(0.36)


def test_with_the_right_a_clients_threshold_decides_both_ways() -> None:
    for threshold, model in ((0.1, "strong"), (0.8, "weak")):
        choice = choose(question(STRONG, WEAK, client_threshold=threshold, may_set_threshold=True), dollars(1000.0), GAIN)
        assert (choice.model, choice.reason, choice.threshold) == (model, "client_threshold", threshold)


# -- probes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sick", [{"success": 0.5}, {"late": 0.3}])
def test_a_share_of_requests_tries_a_sick_model(sick: dict[str, float]) -> None:
    model = change(STRONG, **sick)
    terms = Terms((("ttft", 5.0),), 1.0, None, 0.05, 1)
    probed = choose(question(model, WEAK, draws=(0.5, 0.049)), terms, GAIN)
    assert (probed.model, probed.reason) == ("strong", "probe")
    assert choose(question(model, WEAK, draws=(0.5, 0.05)), terms, GAIN).model == "weak"


def test_a_model_at_the_border_is_not_sick() -> None:
    for e in (change(STRONG, success=0.9), change(STRONG, late=0.1), STRONG):
        assert choose(question(e, WEAK, draws=(0.5, 0.0)), dollars(1000.0), GAIN).reason == "score"


def test_a_sick_model_that_is_chosen_anyway_needs_no_probe() -> None:
    assert choose(question(change(STRONG, success=0.85), WEAK, draws=(0.5, 0.0)), FREE, GAIN).reason == "score"


def test_a_broken_model_is_tried_by_a_request_that_it_would_get_if_it_were_well() -> None:
    broken = change(STRONG, success=0.1)
    on_trial = {"trial": (True, False), "draws": (0.5, 0.9)}
    assert choose(question(broken, WEAK, **on_trial), dollars(20.0), GAIN).reason == "probe"
    assert choose(question(broken, WEAK, **on_trial), dollars(60.0), GAIN).reason == "score"
    assert choose(question(broken, WEAK), dollars(20.0), GAIN).model == "weak"


def test_a_client_that_wants_less_is_not_sent_up_by_a_probe() -> None:
    broken = change(STRONG, success=0.1)
    for may in (False, True):
        q = question(broken, WEAK, client_threshold=0.9, may_set_threshold=may, trial=(True, False), draws=(0.5, 0.0))
        assert choose(q, dollars(20.0), GAIN).model == "weak"
    wanting = question(broken, WEAK, client_threshold=0.1, trial=(True, False), draws=(0.5, 0.0))
    assert choose(wanting, dollars(20.0), GAIN).model == "strong"


def test_a_model_without_a_backend_is_never_probed() -> None:
    q = question(change(STRONG, success=0.1), MIDDLE, WEAK, usable=(False, True, True), draws=(0.5, 0.0))
    assert choose(q, FREE, GAIN).model == "middle"


# -- properties --------------------------------------------------------------------------------------------------------

share = st.floats(0, 1)
candidates = st.builds(Expectation, st.just(""), share, share, share, st.floats(0, 0.1), st.just(10))


@st.composite
def questions(draw: st.DrawFn) -> tuple[Question, Terms]:
    es = tuple(change(e, model=f"m{i}") for i, e in enumerate(draw(st.lists(candidates, min_size=1, max_size=4))))
    usable = draw(st.tuples(*[st.booleans()] * len(es)).filter(any))
    optional = st.none() | share
    q = Question(
        es, usable, draw(st.tuples(*[st.booleans()] * len(es))), draw(st.sampled_from([1.0, 3.0, 10.0])), draw(st.tuples(share, share)),
        draw(optional), draw(st.booleans()), draw(optional),
    )  # fmt: skip
    kinds = draw(st.lists(st.sampled_from(["cost", "availability", "ttft", "quality"]), unique=True))
    per_unit = tuple((kind, draw(st.floats(0.01, 50))) for kind in kinds)
    return q, Terms(per_unit, 4.0, draw(optional), draw(st.floats(0.02, 0.1)), 1)


@settings(max_examples=200)
@given(questions())
def test_whatever_is_asked_a_usable_model_answers_and_says_why(asked: tuple[Question, Terms]) -> None:
    q, terms = asked
    choice: Choice = choose(q, terms, GAIN)
    at = [e.model for e in q.expectations].index(choice.model)
    assert q.usable[at] and choice.reason in WHY
    assert list(choice.scores) == [score(e, q.klass_value / 4.0, terms.per_unit) for e in q.expectations]
    assert choose(q, terms, GAIN) == choice


@settings(max_examples=200)
@given(questions(), share)
def test_a_client_without_the_right_never_gets_a_better_model_by_its_threshold(asked: tuple[Question, Terms], threshold: float) -> None:
    q, terms = asked
    q = structs.replace(q, may_set_threshold=False, trial=(False,) * len(q.expectations))
    without, with_it = (choose(structs.replace(q, client_threshold=t), terms, GAIN) for t in (None, threshold))
    names = [e.model for e in q.expectations]
    if without.reason != "probe":
        assert names.index(with_it.model) >= names.index(without.model) or with_it.reason == "probe"
