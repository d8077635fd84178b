"""`@value`: cheap to build, compared by content, without room for typing errors."""

import pytest

from gateway.domain.value import value


@value
class Point:
    """Two numbers, one with a default."""

    x: int
    y: int = 2


def test_values_are_equal_when_their_fields_are() -> None:
    assert Point(1) == Point(1, 2)
    assert Point(1) != Point(2)
    assert repr(Point(1)).endswith("Point(x=1, y=2)")


def test_a_value_has_slots_so_that_a_mistyped_field_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Point(1).z = 3  # type: ignore[attr-defined]


def test_a_value_is_no_key_by_accident_since_it_can_change_at_run_time() -> None:
    with pytest.raises(TypeError):
        hash(Point(1))


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]
