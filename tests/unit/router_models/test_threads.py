import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from router_models.threads import one_thread


def blas_threads() -> set[int]:
    assert np.eye(2).dot(np.eye(2)).shape == (2, 2)  # loads the library
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_linear_algebra_runs_in_one_thread_inside_and_as_before_outside():
    with threadpool_limits(2):
        with one_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_without_threadpoolctl_nothing_is_limited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    before = blas_threads()
    with one_thread():
        assert blas_threads() == before
