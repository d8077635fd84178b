import numpy as np
import pytest

from router_models.novelty import Novelty, fit_novelty


def test_about_the_promised_share_of_like_prompts_is_flagged_and_all_of_the_others():
    rng = np.random.default_rng(1)
    mix = rng.normal(size=(6, 6))
    seen, fresh = rng.normal(size=(4000, 6)) @ mix, rng.normal(size=(4000, 6)) @ mix
    novelty = fit_novelty(seen)
    assert np.mean([novelty.distance(x) > novelty.limit for x in fresh]) == pytest.approx(0.02, abs=0.01)
    assert all(novelty.distance(x) > novelty.limit for x in fresh[:100] + 20.0 * mix.sum(axis=0))


def test_a_count_that_never_varied_in_training_flags_the_first_prompt_where_it_does():
    rng = np.random.default_rng(1)
    seen = np.column_stack([rng.normal(size=500), np.zeros(500)])
    novelty = fit_novelty(seen)
    assert novelty.distance(np.array([0.0, 1.0])) > novelty.limit > novelty.distance(np.array([0.0, 0.0]))


def test_stored_shapes_must_fit():
    with pytest.raises(ValueError):
        Novelty(np.zeros(3), np.eye(2), 1.0)
    with pytest.raises(ValueError):
        Novelty(np.zeros(3), np.eye(3), float("nan"))
