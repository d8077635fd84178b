"""The list of laws."""

from gateway.core.pricing.laws.registry import LAWS


def test_the_laws_that_operators_can_write() -> None:
    assert {"static", "step", "pid", "shadow_price"} <= set(LAWS)


def test_keys_are_the_kinds_own_words() -> None:
    assert all(law.kind == key for key, law in LAWS.items())
