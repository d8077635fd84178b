import itertools

import pytest

from router_models.routers.constant import ConstantRouter


def test_every_prompt_gets_the_same_qualities():
    router = ConstantRouter(("s", "w"), (0.8, 0.6))
    assert router.quality_one("") == router.quality_one("hard " * 99) == (0.8, 0.6)


def test_the_knots_pass_through_the_mean_win_rate_and_gain():
    assert ConstantRouter(("s", "w"), (0.8, 0.6), win_rate=0.25).gain_knots() == (
        (0.0, pytest.approx(-0.05)),
        (0.25, pytest.approx(0.2)),
        (1.0, 1.0),
    )


@pytest.mark.parametrize("qualities", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.0, 0.0), (1.0, 1.0)])
def test_extreme_means_still_give_increasing_knots(qualities: tuple[float, float]):
    knots = ConstantRouter(("s", "w"), qualities).gain_knots()
    assert all(b[0] > a[0] and b[1] > a[1] for a, b in itertools.pairwise(knots))


def test_a_quality_outside_0_to_1_or_missing_is_refused():
    with pytest.raises(ValueError):
        ConstantRouter(("s", "w"), (0.8, 1.6))
    with pytest.raises(ValueError):
        ConstantRouter(("s", "w"), (0.8,))


def test_what_is_stored_restores_the_same_router():
    router = ConstantRouter(("s", "w"), (0.8, 0.6), 0.3)
    again = ConstantRouter.restore(router.models, router.options(), router.arrays(), {})
    assert again.quality_one("x") == router.quality_one("x") and again.gain_knots() == router.gain_knots()
