"""One thread for linear algebra while a router is trained.

Sums are then added in one order on every machine, so that the same data gives the same artifact to the last bit of its arrays, and threads
do not wait for each other: 1,500 rows took 24 s of CPU on two busy cores with all threads and 4 s with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit every linear algebra library to one thread; without scikit-learn there is none but numpy's, and nothing is limited."""
    try:
        # Only libraries that are loaded can be limited, and training loads them late.
        import scipy.linalg  # noqa: F401
        import sklearn.utils  # noqa: F401
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1):
        yield
