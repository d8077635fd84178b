"""What a section's dataclass says about its keys: their names in the file and their types."""

import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints


def yaml_name(name: str) -> str:
    """Return a field's key in the file: `class_` is `class`."""
    return name.removesuffix("_")


def hints_of(section: type[Any]) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields, by field name, units included."""
    return get_type_hints(section, include_extras=True)


def is_optional(hint: Any) -> bool:
    """Return whether None is one of the values of a type."""
    return get_origin(hint) in {types.UnionType, Union} and type(None) in get_args(hint)


def not_none(args: Iterable[Any]) -> Any:
    """Return what an optional type holds when it is not None."""
    return next(a for a in args if a is not type(None))


def is_below(found: Any, base: type[Any]) -> bool:
    """Return whether `found` is a class at all, and `base` or below it."""
    return isinstance(found, type) and issubclass(found, base)
