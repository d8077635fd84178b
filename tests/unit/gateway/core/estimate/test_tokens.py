"""Tokens per byte."""

import pytest

from gateway.core.estimate.tokens import MODELS_MAX, Tokens


def test_it_starts_at_four_bytes_per_token_and_a_prompt_has_at_least_one() -> None:
    tokens = Tokens()
    assert tokens.prompt("weak", 4000) == 1000 and tokens.prompt("weak", 0) == 1
    assert tokens.completion("weak", 0) == 0 and tokens.completion("weak", 42) == 11


def test_reported_usage_teaches_each_model_and_each_direction_its_own_ratio() -> None:
    tokens = Tokens()
    for _ in range(300):
        tokens.learn_prompt("code", 3000, 1000)
        tokens.learn_completion("code", 3000, 600)
    assert tokens.prompt("code", 3000) == pytest.approx(1000, rel=0.02)
    assert tokens.completion("code", 3000) == pytest.approx(600, rel=0.02)
    assert tokens.prompt("prose", 3000) == 750


def test_a_huge_body_of_images_hardly_moves_it_and_empty_ones_do_not_count() -> None:
    tokens = Tokens()
    for _ in range(100):
        tokens.learn_prompt("m", 4000, 1000)
    tokens.learn_prompt("m", 8_000_000, 1500)
    assert tokens.prompt("m", 4000) > 800
    tokens.learn_prompt("m", 0, 50)
    tokens.learn_prompt("m", 50, 0)
    assert tokens.prompt("m", 4000) > 800


def test_memory_is_bounded() -> None:
    tokens = Tokens()
    for i in range(MODELS_MAX + 5):
        tokens.learn_prompt(f"m{i}", 100, 25)
    assert len(tokens._prompts) == MODELS_MAX
