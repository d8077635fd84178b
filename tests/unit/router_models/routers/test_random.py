import numpy as np
import pytest

from router_models.routers.random import RandomRouter


def test_the_same_prompt_and_seed_always_draw_the_same():
    assert RandomRouter(seed=1).quality_one("x") == RandomRouter(seed=1).quality_one("x")
    assert RandomRouter(seed=1).quality_one("x") != RandomRouter(seed=2).quality_one("x")


def test_draws_are_spread_evenly_around_the_means():
    quality = RandomRouter(qualities=(0.8, 0.7)).quality([f"prompt {i}" for i in range(4000)])
    gain = quality[:, 0] - quality[:, 1]
    assert gain.mean() == pytest.approx(0.1, abs=0.01)
    assert np.quantile(gain, [0.25, 0.75]) == pytest.approx([-0.1, 0.3], abs=0.02)
    assert quality.min() >= 0.0 and quality.max() <= 1.0


def test_means_at_the_edge_leave_no_room_and_are_refused():
    with pytest.raises(ValueError, match="strictly inside"):
        RandomRouter(qualities=(1.0, 0.7))


def test_what_is_stored_restores_the_same_router():
    router = RandomRouter(("s", "w"), 9, (0.6, 0.5))
    assert RandomRouter.restore(router.models, router.options(), {}, {}).quality_one("y") == router.quality_one("y")
