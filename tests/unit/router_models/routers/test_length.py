import itertools

import numpy as np
import pytest

from router_models.routers.length import LengthFitter, LengthRouter
from router_models.table import ScoreTable


def test_longer_prompts_gain_more_and_nothing_else_matters():
    router = LengthRouter()
    gains = [q[0] - q[1] for q in (router.quality_one("x" * n) for n in (0, 10, 100, 1000, 100_000))]
    assert all(b > a for a, b in itertools.pairwise(gains))
    assert router.quality_one("a" * 50) == router.quality_one("?" * 50)


def test_only_two_models_can_be_compared_by_length():
    with pytest.raises(ValueError, match="two models"):
        LengthRouter(("a", "b", "c"))


def test_fitting_learns_how_much_length_is_worth():
    rng = np.random.default_rng(1)
    prompts = ["x" * int(n) for n in rng.integers(1, 500, 2000)]
    weak = np.array([float(rng.uniform() < (0.9 if len(p) < 250 else 0.3)) for p in prompts])
    data = ScoreTable(("s", "w"), prompts, [""] * 2000, np.column_stack([np.full(2000, 1.0), weak]))
    fitter, rows = LengthFitter(data, {}, {}), np.arange(2000)
    router = fitter.fit(rows).router(fitter.signals(rows), rows)
    short, long = router.quality(["x" * 100, "x" * 400])
    assert short[0] - short[1] == pytest.approx(0.1, abs=0.05)
    assert long[0] - long[1] == pytest.approx(0.7, abs=0.07)
    again = LengthRouter.restore(router.models, router.options(), router.arrays(), {})
    assert again.quality_one("x" * 77) == router.quality_one("x" * 77)
