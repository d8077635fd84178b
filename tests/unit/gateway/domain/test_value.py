import pytest

from gateway.domain.value import value


@value
class Point:
    x: float
    y: float = 0.0


def test_a_value_has_slots_equality_and_a_readable_form():
    assert Point(1.0) == Point(1.0, 0.0) != Point(2.0)
    assert repr(Point(1.0)) == "Point(x=1.0, y=0.0)"
    with pytest.raises(AttributeError):
        Point(1.0).z = 3.0  # type: ignore[attr-defined]


def test_values_of_one_content_are_not_hashed_by_accident():
    with pytest.raises(TypeError):
        hash(Point(1.0))  # mutable at run time, so it must not be a key
