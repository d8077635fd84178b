import inspect

import numpy as np
import pytest

from router_models.routers.base import FamilyRouter
from router_models.routers.constant import ConstantRouter


def test_a_router_that_leaves_out_a_part_cannot_be_built():
    with pytest.raises(TypeError, match="abstract"):
        FamilyRouter()  # type: ignore[abstract]
    assert inspect.isabstract(FamilyRouter)


def test_quality_stacks_what_quality_one_says():
    router = ConstantRouter(("s", "w"), (0.75, 0.5))
    assert np.array_equal(router.quality(["a", "b"]), [[0.75, 0.5], [0.75, 0.5]])
    assert router.feature_hash() == ""
