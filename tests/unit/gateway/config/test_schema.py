"""Tests of models derived from dataclasses, and of the JSON schema."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from gateway.config.decode import decode
from gateway.config.load import Config
from gateway.config.schema import docstrings, inner_problems, json_schema, read, schema_text
from gateway.config.sections import Sections
from gateway.domain.catalog import Secret
from gateway.domain.units import ByteCount, Seconds


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    wait: Seconds
    """How long.

    In more than one line.
    """
    class_: str = "x"


@dataclass(frozen=True)
class Outer:
    """A sample."""

    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    colour: Colour = Colour.RED
    size: ByteCount = 1024
    is_on: bool = False
    share: float | None = None
    secret: Secret | None = field(default=None, repr=False)


def test_reading_gives_the_dataclass_itself() -> None:
    data = {
        "inner": {"wait": "2s", "class": "y"},
        "many": [{"wait": "1ms"}],
        "colour": "blue",
        "size": "2KiB",
        "is_on": True,
        "share": 1,
        "secret": "s",
    }
    made, problems = read(Outer, data)
    assert problems == []
    assert made == Outer(Inner(2.0, "y"), (Inner(0.001),), Colour.BLUE, 2048, True, 1.0, Secret("s"))


def test_defaults_need_not_be_written() -> None:
    assert read(Outer, {}) == (Outer(), [])
    assert read(Outer, {"inner": None}) == (Outer(), [])


def test_all_mistakes_are_found_at_once() -> None:
    _, problems = read(Outer, {"inner": {}, "many": [{"wait": 1}, {"wait": "1s", "x": 1}], "colour": "green", "is_on": 1, "secret": "a\nb"})
    assert [p.path for p in problems] == [("inner", "wait"), ("many", 0, "wait"), ("many", 1, "x"), ("colour",), ("is_on",), ("secret",)]
    assert "a\nb" not in str(problems)


def test_field_docstrings_are_the_reference_text() -> None:
    assert docstrings(Inner) == {"wait": "How long. In more than one line."}


def test_readable_parts_of_an_unreadable_section_are_checked() -> None:
    models = [{"name": "m", "tariff": {"input_usd_per_mtok": -1, "output_usd_per_mtok": 1}, "backends": [{"url": "x", "model": "m"}, 5]}]
    found = [p.path for p in inner_problems(Sections, {"models": models, "zzz": 1}, ())]
    assert found == [("models", 0, "tariff", "input_usd_per_mtok"), ("models", 0, "backends", 0, "url")]


def accepts(schema: Any, data: Any, root: Any) -> bool:
    """Check data against the part of JSON schema (draft 2020-12) that ours uses; an unknown keyword fails the test."""
    known = {"$defs", "$schema", "title", "description", "default", "discriminator"}
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    for keyword, want in schema.items():
        if keyword in known:
            continue
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        match keyword:
            case "$ref":
                right = accepts(root["$defs"][want.rpartition("/")[2]], data, root)
            case "type":
                right = isinstance(data, types[want]) if want in types else is_number and (want == "number" or data == int(data))
            case "properties":
                right = not isinstance(data, dict) or all(accepts(part, data[key], root) for key, part in want.items() if key in data)
            case "required":
                right = not isinstance(data, dict) or set(want) <= set(data)
            case "additionalProperties":
                others = set(data) - set(schema.get("properties", {})) if isinstance(data, dict) else set()
                right = not others if want is False else all(accepts(want, data[key], root) for key in others)
            case "items":
                right = not isinstance(data, list) or all(accepts(want, item, root) for item in data)
            case "anyOf":
                right = any(accepts(part, data, root) for part in want)
            case "oneOf":
                right = sum(accepts(part, data, root) for part in want) == 1
            case "enum":
                right = data in want
            case "const":
                right = data == want
            case "pattern":
                right = not isinstance(data, str) or re.search(want, data) is not None
            case "minimum":
                right = not is_number or data >= want
            case "maximum":
                right = not is_number or data <= want
            case "exclusiveMinimum":
                right = not is_number or data > want
            case _:
                raise AssertionError(f"unknown keyword {keyword}")
        if not right:
            return False
    return True


def shipped_files() -> list[Path]:
    folder = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").exists()) / "config"
    return [folder / "sluice.yaml", *sorted((folder / "examples").glob("*.yaml"))]


@pytest.mark.parametrize("file", shipped_files(), ids=lambda path: path.name)
def test_the_schema_accepts_what_ships(file: Path) -> None:
    schema = json_schema()
    assert accepts(schema, decode(file.read_bytes()).data, schema)


def test_the_schema_accepts_what_is_written_out(configure: Callable[..., Config]) -> None:
    schema = json_schema()
    assert accepts(schema, decode(configure().effective().encode()).data, schema)


@pytest.mark.parametrize(
    "change",
    [
        {"slos": [{"name": "a", "sli": "availability", "objectve": 0.9}]},
        {"slos": [{"name": "a", "sli": "ttft"}]},
        {"slos": [{"name": "a", "sli": {"kind": "tft"}}]},
        {"slos": [{"name": "a", "sli": "availability", "window": 28}]},
        {"slos": [{"name": "a", "sli": "availability", "objective": 99}]},
        {"server": {"idle": "75"}},
        {"mode": "on"},
        {"models": 5},
        {"pricing": {"law": {"kind": "static"}}},
    ],
)
def test_the_schema_refuses_what_cannot_be_read(minimal: str, change: dict[str, Any]) -> None:
    schema = json_schema()
    data = decode(minimal.encode()).data
    assert accepts(schema, data, schema)
    assert not accepts(schema, data | change, schema)


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    bare = [
        f"{name}.{key}"
        for name, part in schema["$defs"].items()
        for key, value in part["properties"].items()
        if not value.get("description")
    ]
    assert set(bare) <= {"AdminOptions.listen"}


def test_the_shipped_schema_is_in_step(shipped: Path) -> None:
    """When it is not: `sluice schema --out config/sluice.schema.json`."""
    assert (shipped / "sluice.schema.json").read_text(encoding="utf-8") == schema_text()
    assert json.loads(schema_text())["$schema"] == "https://json-schema.org/draft/2020-12/schema"
