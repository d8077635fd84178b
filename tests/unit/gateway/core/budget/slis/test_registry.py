"""The list of SLI kinds."""

from gateway.core.budget.slis.registry import SLIS


def test_the_kinds_that_operators_can_write() -> None:
    assert set(SLIS) == {"availability", "ttft", "itl", "quality", "coherence", "cost"}


def test_keys_are_the_kinds_own_words() -> None:
    assert all(sli.kind == key for key, sli in SLIS.items())
