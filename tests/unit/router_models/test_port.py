import numpy as np

from router_models.port import ArtifactError, Router
from router_models.routers.constant import ConstantRouter
from router_models.routers.length import LengthRouter
from router_models.routers.random import RandomRouter


def test_an_artifact_error_is_a_value_error_so_that_callers_may_catch_either():
    assert issubclass(ArtifactError, ValueError)


def test_routers_fit_the_port_and_one_prompt_equals_its_row_to_the_last_bit():
    routers: list[Router] = [ConstantRouter(("s", "w"), (0.8, 0.6)), LengthRouter(), RandomRouter()]
    for router in routers:
        prompts = ["", "short", "a much longer prompt " * 50]
        many = router.quality(prompts)
        assert many.shape == (3, 2) and many.dtype == np.float64
        assert [tuple(row) for row in many.tolist()] == [router.quality_one(p) for p in prompts]
        assert router.quality([]).shape == (0, 2)
