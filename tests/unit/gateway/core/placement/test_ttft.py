"""What is learned of a backend's first-token time."""

import random

import pytest

from gateway.core.placement.ttft import Ttft


def taught(base_s: float, s_per_token: float, samples: int = 60, start_s: float = 0.0, ttft: Ttft | None = None) -> Ttft:
    ttft, rng = ttft or Ttft(), random.Random(7)
    for i in range(samples):
        tokens = rng.uniform(100, 6000)
        ttft.observe(tokens, 0, (base_s + s_per_token * tokens) * rng.uniform(0.9, 1.1), start_s + i)
    return ttft


def test_before_any_data_the_prior_tells_a_long_prompt_from_a_short_one() -> None:
    assert Ttft().predict(0, 1000, 0, 0.0) == pytest.approx(0.2)
    assert Ttft().predict(4000, 1000, 0, 0.0) == pytest.approx(0.6)


@pytest.mark.parametrize(("base_s", "s_per_token"), [(0.03, 8.5e-5), (0.05, 1.9e-4), (0.5, 1e-5), (0.2, 4e-3)])
def test_sixty_first_tokens_teach_the_speed_of_a_machine_within_a_fifth(base_s: float, s_per_token: float) -> None:
    ttft = taught(base_s, s_per_token)
    for tokens in (500, 2000, 6000):
        assert ttft.predict(0, tokens, 0, 60.0) == pytest.approx(base_s + s_per_token * tokens, rel=0.2)


def test_running_requests_lengthen_the_wait_by_their_decode_steps() -> None:
    assert Ttft().predict(0, 2048, 64, 0.0) - Ttft().predict(0, 2048, 0, 0.0) == pytest.approx(2 * 64 * 0.00035)


def test_one_straggler_hardly_moves_it() -> None:
    ttft = taught(0.05, 1e-4)
    before_s = ttft.predict(0, 1000, 0, 60.0)
    ttft.observe(1000, 0, 60.0, 60.0)
    assert ttft.predict(0, 1000, 0, 60.0) < 1.5 * before_s


def test_a_backend_that_turns_slow_is_seen_within_a_dozen_requests() -> None:
    ttft = taught(0.05, 1e-4)
    for i in range(12):
        ttft.observe(1000, 0, 3.0, 60.0 + i)
    assert ttft.predict(0, 1000, 0, 72.0) > 0.5


def test_after_a_slow_phase_silence_brings_it_back_so_that_it_is_tried_again() -> None:
    ttft = taught(0.05, 1e-4, samples=200)
    for i in range(30):
        ttft.observe(1000, 0, 5.0, 200.0 + i)
    slow_s = ttft.predict(0, 1000, 0, 230.0)
    assert slow_s > 2.0
    assert ttft.predict(0, 1000, 0, 260.0) < 0.6 * slow_s
    assert ttft.predict(0, 1000, 0, 400.0) < 0.5
    taught(0.05, 1e-4, samples=40, start_s=400.0, ttft=ttft)
    assert ttft.predict(0, 1000, 0, 440.0) < 0.3


def test_equal_prompts_are_enough_data() -> None:
    ttft = Ttft()
    for i in range(50):
        ttft.observe(500, 0, 0.8, float(i))
    assert ttft.predict(0, 500, 0, 50.0) == pytest.approx(0.8, rel=0.1)
