"""Values for schemas: minimal, allowed, the same every time; impossible schemas are errors, not endless loops."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.instance import SchemaError, instance

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 18},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2},
        "nick": {"type": "string"},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}


def test_an_object_has_what_is_required_and_no_more() -> None:
    assert instance(PERSON) == {"name": "x", "age": 18, "tags": ["a", "a"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"const": [1]}, [1]),
        ({"enum": ["red", "green"]}, "red"),
        ({"type": "string", "minLength": 3}, "xxx"),
        ({"type": "string", "maxLength": 0}, ""),
        ({"type": "string", "format": "date"}, "2024-01-01"),
        ({"type": ["integer", "null"]}, 0),
        ({"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5}, 5),
        ({"type": "integer", "maximum": -7}, -7),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 0.3, "multipleOf": 0.25}, 0.5),
        ({"type": "array"}, []),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": {"const": 3}, "minItems": 3}, [1, 2, 3]),
        ({"properties": {"a": {"type": "null"}}, "required": ["a"]}, {"a": None}),
        ({"minimum": 2}, 2),
        ({}, None),
        (True, None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "x"),
        ({"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"const": 4}}}]}, {"a": 4}),
        ({"$defs": {"N": {"type": "integer", "minimum": 9}}, "$ref": "#/$defs/N"}, 9),
        ({"definitions": {"a/b": {"const": 7}}, "$ref": "#/definitions/a~1b"}, 7),
    ],
)
def test_every_kind_of_schema_gets_its_smallest_value(schema: Any, value: Any) -> None:
    made = instance(schema)
    assert made == value
    assert type(made) is type(value)


def test_a_recursive_type_ends_at_the_alternative_that_can() -> None:
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]}
    value = instance(node)
    depth = 0
    while value is not None:
        value, depth = value["next"], depth + 1
    assert depth > 0


@pytest.mark.parametrize(
    "schema",
    [
        False,
        3,
        {"type": "colour"},
        {"$ref": "#"},
        {"$ref": "#/$defs/Nobody"},
        {"$ref": "https://example.com/schema"},
        {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4},
        {"anyOf": []},
    ],
)
def test_what_no_value_can_meet_is_an_error(schema: Any) -> None:
    with pytest.raises(SchemaError):
        instance(schema)


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 9), st.sampled_from(["integer", "number"]))
def test_numbers_keep_their_bounds(low: int, width: int, step: int, kind: str) -> None:
    schema = {"type": kind, "minimum": low, "maximum": low + width, "multipleOf": step}
    possible = [n for n in range(low, low + width + 1) if n % step == 0]
    if possible:
        assert instance(schema) in possible
        assert abs(instance(schema)) == min(map(abs, possible))
    else:
        with pytest.raises(SchemaError):
            instance(schema)
