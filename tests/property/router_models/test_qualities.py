"""Whatever the prompt, a router's answer is defined, repeatable, in range, and consistent with its card."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from router_models.artifact import builtin

ARTIFACT = builtin()
ANY_TEXT = st.text(st.characters(), max_size=300)  # all of Unicode, lone surrogates and NUL included


@settings(deadline=None)
@given(ANY_TEXT, st.integers(1, 40))
def test_qualities_are_in_range_and_equal_for_one_and_many(text: str, times: int):
    prompt = text * times
    one = ARTIFACT.router.quality_one(prompt)
    assert all(0.0 <= q <= 1.0 and math.isfinite(q) for q in one)
    assert ARTIFACT.router.quality(["other", prompt])[1].tolist() == list(one)


@settings(deadline=None)
@given(st.lists(ANY_TEXT, min_size=4, max_size=9))
def test_prompts_that_wait_together_are_answered_as_each_alone(texts: list[str]):
    for many, text in zip(ARTIFACT.router.quality_many(texts, [None] * len(texts)), texts, strict=True):
        assert all(abs(a - b) <= 1e-9 for a, b in zip(many, ARTIFACT.router.quality_one(text), strict=True))


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_thresholds_on_gain_and_on_win_rate_pick_the_same_prompts(a: str, b: str):
    gains = [q[0] - q[1] for q in map(ARTIFACT.router.quality_one, (a, b))]
    wins = [ARTIFACT.card.win_rate(g) for g in gains]
    if abs(gains[0] - gains[1]) > 1e-12:
        assert (gains[0] > gains[1]) == (wins[0] > wins[1])


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_gain_rises_with_win_rate_and_back(a: float, b: float):
    card = ARTIFACT.card
    assert abs(card.win_rate(card.gain(a)) - a) < 1e-9
    if b - a > 1e-9:
        assert card.gain(a) < card.gain(b)
