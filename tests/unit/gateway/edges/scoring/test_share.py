import numpy as np
import pytest

from gateway.edges.scoring.share import GAIN, KNOTS, ShareScorer


def test_the_declared_share_of_prompts_is_said_to_gain():
    scorer = ShareScorer(0.35, 2, "no artifact")
    gains = np.array([a - b for a, b in (scorer.qualities(f"prompt {i}") for i in range(4000))])
    assert np.mean(gains > GAIN / 2) == pytest.approx(0.35, abs=0.03)
    assert set(np.round(gains, 9)) == {0.0, GAIN}


def test_the_same_prompt_gets_the_same_answer_in_any_process():
    assert ShareScorer(0.35, 2, "").qualities("é\udc80 a") == ShareScorer(0.35, 2, "").qualities("é\udc80 a")


def test_more_models_fall_evenly_between_the_first_and_the_last():
    high = ShareScorer(1.0, 3, "").qualities("x")
    assert high[0] - high[1] == pytest.approx(GAIN / 2)
    assert high[1] - high[2] == pytest.approx(GAIN / 2)


def test_its_histogram_has_the_declared_share_and_its_knots_can_be_inverted():
    sample = ShareScorer(0.2, 2, "").sample()
    assert sample.shape == (1000, 2)
    assert np.mean(sample[:, 0] - sample[:, 1] > 0.1) == pytest.approx(0.2)
    assert KNOTS[0] < KNOTS[-1]


def test_it_says_that_it_is_a_fallback_and_why():
    scorer = ShareScorer(0.2, 2, "folder is gone")
    assert scorer.is_fallback and scorer.why == "folder is gone"
