"""Tests of what dataclasses say about their keys."""

from dataclasses import dataclass
from typing import Annotated, Any

from gateway.config.fields import hints_of, is_below, is_optional, not_none, yaml_name


@dataclass
class Sample:
    for_: Annotated[float, "unit"]
    plain: int | None = None


def test_a_trailing_underscore_stands_for_a_keyword() -> None:
    assert [yaml_name(name) for name in hints_of(Sample)] == ["for", "plain"]


def test_types_keep_their_units() -> None:
    assert hints_of(Sample)["for_"] == Annotated[float, "unit"]


def test_optional_types_are_told_from_others() -> None:
    hint: Any = hints_of(Sample)["plain"]
    assert is_optional(hint) and not is_optional(int) and not is_optional(Annotated[float, "unit"])
    assert not_none(hint.__args__) is int


def test_only_classes_are_below_a_class() -> None:
    assert is_below(bool, int)
    assert not is_below(int, bool) and not is_below("int", int)
