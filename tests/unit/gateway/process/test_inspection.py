"""The loop that a command needs for one look at a store."""

import pytest

from gateway.edges.store.checkup import Level
from gateway.process.inspection import inspect_store


def test_a_server_that_is_not_there_is_found_out() -> None:
    (finding,) = inspect_store("redis://127.0.0.1:1", 0.2)
    assert finding.level is Level.PROBLEM and "cannot be reached" in finding.said


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is none of"):
        inspect_store("http://h", 0.2)
