"""What pydantic says about a section, in an operator's words and at its path in the file.

Pydantic's own paths hold the kind of a chosen plugin as a step of its own and know nothing of misspelt keys; following
the types of the dataclasses along such a path gives both. Types of errors: pydantic's documentation, "Validation Errors".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin

from gateway.config.errors import Path, Problem, close_to, meant
from gateway.config.fields import hints_of, is_below, is_optional, not_none, yaml_name
from gateway.config.plugins import Kinds
from gateway.config.references import quoted

MISSING = "a required key is missing"
_EXPECTED = {
    "tuple_type": "expected a list: [a, b], or lines that begin with `- `",
    "dict_type": "expected a mapping: {key: value}, or lines of `key: value`",
    "model_type": "expected a mapping: {key: value}, or lines of `key: value`",
    "model_attributes_type": "expected a mapping with `kind`, or a kind alone",
}


def complaints(section: type[Any], errors: Sequence[Any], path: Path) -> list[Problem]:
    """Return the problems of a section at `path`; a required key that was only misspelt is not reported as missing too."""
    problems = [_problem(section, error, path) for error in errors]
    missing = {p.path for p in problems if p.message == MISSING}
    for unknown in (p for p in problems if p.is_of_key):
        beside = [str(m[-1]) for m in missing if m[:-1] == unknown.path[:-1]]
        missing.discard((*unknown.path[:-1], close_to(str(unknown.path[-1]), beside) or ""))
    return [p for p in problems if p.message != MISSING or p.path in missing]


def _problem(section: type[Any], error: Any, path: Path) -> Problem:
    """Turn one of pydantic's errors into a problem at its path in the file."""
    kind = str(error["type"])
    at, around = _follow(section, error["loc"])
    here = (*path, *at)
    if kind == "extra_forbidden":
        return Problem(here, f"unknown key, {meant(str(at[-1]), _keys(around), 'keys')}", is_of_key=True)
    if kind == "missing":
        return Problem(here, MISSING)
    if kind == "union_tag_invalid":
        known = _kinds(around).registry
        return Problem((*here, "kind"), f"unknown kind {quoted(error['ctx']['tag'])}, {meant(str(error['ctx']['tag']), known, 'kinds')}")
    if kind == "union_tag_not_found":
        return Problem(here, f"`kind` is missing; known kinds: {', '.join(_kinds(around).registry)}")
    if error["input"] is None:
        return Problem(here, "nothing is written here; give it a value, or leave the key out")
    if kind == "value_error":
        return Problem(here, str(error["ctx"]["error"]))
    return Problem(here, _EXPECTED.get(kind, error["msg"]))


def _follow(section: type[Any], loc: tuple[Any, ...]) -> tuple[Path, Any]:
    """Return an error's path in the file, and the type of what surrounds its last key (of the place itself for plugins)."""
    hint: Any = section
    around: Any = section
    path: list[str | int] = []
    for part in loc:
        around = hint
        args = get_args(hint)
        if isinstance(hint, _Options):
            hint = hint.hint_of(part)
        elif get_origin(hint) is Annotated and isinstance(args[1], Kinds):
            hint = _Options(args[1], part)
            continue  # Pydantic names the chosen kind in its path; the file does not.
        elif get_origin(hint) is tuple:
            hint = args[0]
        elif is_dataclass(hint) and isinstance(hint, type):
            hint = {yaml_name(name): h for name, h in hints_of(hint).items()}.get(part)
        elif get_origin(hint) is not None and is_below(get_origin(hint), Mapping):
            hint = args[1]
            if part == "[key]":
                continue
        if is_optional(hint):
            hint = not_none(get_args(hint))
        path.append(part)
    return tuple(path), hint if get_origin(hint) is Annotated else around


@dataclass(frozen=True, slots=True)
class _Options:
    """The place inside a plugin of a known kind."""

    kinds: Kinds
    kind: str

    def hint_of(self, key: str) -> Any:
        return {yaml_name(n): h for n, h in hints_of(self.kinds.options(self.kind)).items()}.get(key)

    def keys(self) -> list[str]:
        return ["kind", *(yaml_name(f.name) for f in fields(self.kinds.options(self.kind)))]


def _keys(around: Any) -> list[str]:
    if isinstance(around, _Options):
        return around.keys()
    return [yaml_name(f.name) for f in fields(around)] if is_dataclass(around) else []


def _kinds(hint: Any) -> Kinds:
    found: Kinds = get_args(hint)[1]
    return found
