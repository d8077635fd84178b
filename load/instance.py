"""The smallest JSON value that a JSON Schema accepts: what a simulated model answers when it is told to obey one.

Covers what structured outputs and tool parameters use: types, required properties, enum, const, bounds of numbers, lengths of
strings and arrays, common string formats, $ref into the same document, anyOf, oneOf and allOf. `pattern`, `not`, `if` and
uniqueItems beyond one item are not obeyed; a schema that refers to itself without end, or to nothing, is an error.
"""

import math
from collections.abc import Mapping
from typing import Any

DEPTH_MAX = 64
"""Nesting of required values; deeper means that the schema can only be met by an endless value."""

_FORMATS = {
    "date-time": "2024-01-01T00:00:00Z",
    "date": "2024-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com",
}


class SchemaError(ValueError):
    """No value can be made for this schema; the message says why."""


def instance(schema: Any) -> Any:
    """Return a minimal value for a schema, always the same one.

    Raises: SchemaError.
    """
    return _make(schema, schema, 0)


def _make(schema: Any, root: Any, depth: int) -> Any:
    if schema is True:
        return None
    if not isinstance(schema, Mapping) or depth > DEPTH_MAX:
        raise SchemaError("no finite value meets the schema" if depth > DEPTH_MAX else f"{schema!r} is no schema that a value can meet")
    if "$ref" in schema:
        return _make(_target(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(options := schema.get("enum"), list) and options:
        return options[0]
    if "allOf" in schema:
        return _make(_merged(schema, root), root, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _first(schema, schema[key], root, depth)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    match kind or _implied(schema):
        case "object":
            properties = schema.get("properties", {})
            return {name: _make(properties.get(name, True), root, depth + 1) for name in schema.get("required", ())}
        case "array":
            heads = schema.get("prefixItems", [])
            wanted = max(int(schema.get("minItems", 0)), 0)
            return [_make(heads[i] if i < len(heads) else schema.get("items", True), root, depth + 1) for i in range(min(wanted, 1000))]
        case "string":
            text = _FORMATS.get(schema.get("format", ""), "")
            return text + "x" * max(0, int(schema.get("minLength", 1)) - len(text)) if schema.get("maxLength") != 0 else ""
        case "integer":
            return _number(schema, whole=True)
        case "number":
            return _number(schema, whole=False)
        case "boolean":
            return False
        case "null":
            return None
        case unknown:
            raise SchemaError(f"type {unknown!r} is not known")


def _first(schema: Mapping[str, Any], options: Any, root: Any, depth: int) -> Any:
    """Return the value of the first alternative that has one; a recursive type ends here."""
    rest = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf", "$defs", "definitions")}
    trouble = SchemaError("no alternatives to choose from")
    for option in options if isinstance(options, list) else ():
        try:
            return _make({"allOf": [rest, option]} if rest.keys() & {"type", "properties", "required"} else option, root, depth + 1)
        except SchemaError as exc:
            trouble = exc
    raise trouble


def _merged(schema: Mapping[str, Any], root: Any) -> dict[str, Any]:
    """Join the parts of allOf: properties and required add up, of other keys the last one counts."""
    merged: dict[str, Any] = {"properties": {}, "required": []}
    parts = [{k: v for k, v in schema.items() if k != "allOf"}, *schema["allOf"]]
    for part in parts:
        seen = 0
        while isinstance(part, Mapping) and "$ref" in part and seen < DEPTH_MAX:
            part, seen = _target(part["$ref"], root), seen + 1
        if not isinstance(part, Mapping):
            continue
        merged["properties"] |= part.get("properties", {})
        merged["required"] += [name for name in part.get("required", ()) if name not in merged["required"]]
        merged |= {k: v for k, v in part.items() if k not in ("properties", "required")}
    if not merged["properties"] and not merged["required"]:
        del merged["properties"], merged["required"]
    return merged


def _implied(schema: Mapping[str, Any]) -> str:
    """Return the type that a schema without one speaks of."""
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema or "minItems" in schema:
        return "array"
    if {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"} & schema.keys():
        return "number"
    return "string" if {"minLength", "maxLength", "pattern", "format"} & schema.keys() else "null"


def _number(schema: Mapping[str, Any], whole: bool) -> float:
    """Return the allowed number nearest to 0, in steps of `multipleOf` (of 1 for integers; numbers without one may be halves)."""
    low, high = float(schema.get("minimum", -math.inf)), float(schema.get("maximum", math.inf))
    over, under = float(schema.get("exclusiveMinimum", -math.inf)), float(schema.get("exclusiveMaximum", math.inf))

    def allowed(value: float) -> bool:
        return low <= value <= high and over < value < under

    step = float(schema.get("multipleOf", 1))
    near = 0.0 if allowed(0.0) else (max(low, over) if max(low, over) > 0 else min(high, under))
    if step > 0 and math.isfinite(near):
        around = math.floor(near / step)
        for steps in sorted((around - 1, around, around + 1, around + 2), key=abs):
            if allowed(steps * step):
                return int(steps * step) if float(steps * step).is_integer() else steps * step
    middle = (max(low, over) + min(high, under)) / 2
    if not whole and "multipleOf" not in schema and allowed(middle):
        return middle
    raise SchemaError("no number lies between the bounds")


def _target(reference: Any, root: Any) -> Any:
    """Follow a reference inside the document: `#`, `#/$defs/Name`."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise SchemaError(f"reference {reference!r} leads out of the schema")
    found = root
    for step in filter(None, reference[1:].split("/")):
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            raise SchemaError(f"reference {reference!r} leads nowhere")
        found = found[key]
    return found
