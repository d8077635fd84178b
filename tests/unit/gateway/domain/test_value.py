"""`Value`: cheap to build, compared by content, read-only, without room for typing errors."""

import gc

import pytest
from msgspec import structs

from gateway.domain.value import Value


class Point(Value, frozen=True):
    """Two numbers, one with a default."""

    x: int
    y: int = 2


def test_values_are_equal_when_their_fields_are() -> None:
    assert Point(1) == Point(1, 2)
    assert Point(1) != Point(2)
    assert repr(Point(1)) == "Point(x=1, y=2)"


def test_a_field_cannot_be_assigned_but_changed_in_a_copy() -> None:
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 3  # type: ignore[misc]
    assert structs.replace(point, x=3) == Point(3)


def test_a_mistyped_field_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Point(1).z = 3  # type: ignore[attr-defined]


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_the_garbage_collector_has_nothing_to_do_with_values() -> None:
    assert not gc.is_tracked(Point(1))
