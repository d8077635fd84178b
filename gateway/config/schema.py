"""Dataclasses of sections to pydantic models and back: the only file that knows pydantic.

The models are derived, never written: a field's type says how its value is read (`quantities.py` by the `Unit` in its
annotation, plugins by `Kinds`), its default and the docstring below it become the JSON schema. Reading gives instances
of the dataclasses themselves, or problems with their path in the operator's file.
"""

import ast
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import cache, partial
from itertools import pairwise
from textwrap import dedent
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import pydantic
from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema
from pydantic.fields import FieldInfo

from gateway.config.complaints import complaints
from gateway.config.effective import write
from gateway.config.errors import Path, Problem, meant
from gateway.config.fields import hints_of, is_below, is_optional, not_none, yaml_name
from gateway.config.plugins import Chosen, Kinds
from gateway.config.quantities import QUANTITIES, REFERENCE_PATTERN, Quantity
from gateway.config.references import Expanded, quoted
from gateway.config.sections import Sections
from gateway.domain.catalog import Secret

T = TypeVar("T")

_REFERENCE = {"type": "string", "pattern": REFERENCE_PATTERN}
_PLAIN_KINDS: Mapping[Any, str] = {bool: "flag", int: "integer", float: "number"}


def read(section: type[T], data: object, path: Path = ()) -> tuple[T | None, list[Problem]]:
    """Read a section's data.

    Returns: the section, or None with everything that is wrong with it; paths begin with `path`.
    """
    key: Any = section
    try:
        made: T = _adapter(key).validate_python(data)
    except pydantic.ValidationError as exc:
        return None, complaints(section, exc.errors(include_url=False), path)
    return made, []


def inner_problems(section: type[Any], data: object, path: Path) -> list[Problem]:
    """Return what is wrong within those parts of an unreadable section that can be read by themselves."""
    problems: list[Problem] = []
    hints = {yaml_name(name): hint for name, hint in hints_of(section).items()}
    for key, value in data.items() if isinstance(data, dict) else ():
        inner = hints.get(key)
        if get_origin(inner) is tuple and isinstance(value, list):
            parts = [((*path, key, i), get_args(inner)[0], item) for i, item in enumerate(value)]
        else:
            parts = [((*path, key), not_none(get_args(inner)) if is_optional(inner) else inner, value)]
        problems += [p for here, part, item in parts if isinstance(part, type) and is_dataclass(part) for p in _of_part(part, item, here)]
    return problems


def _of_part(section: type[Any], data: object, path: Path) -> list[Problem]:
    made, _ = read(section, data)
    if made is None:
        return inner_problems(section, data, path)
    return [replace(p, path=(*path, *p.path)) for p in getattr(made, "problems", tuple)()]


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a configuration, for editors and checkers."""
    schema = model_of(Sections).model_json_schema(ref_template="#/$defs/{model}")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Sluice configuration"}
    body: dict[str, Any] = _without_titles(schema)
    return head | body


@cache
def model_of(section: type[Any]) -> type[pydantic.BaseModel]:
    """Return the pydantic model of a dataclass; unknown keys are refused."""
    return _model(section, section.__qualname__.replace(".", ""), {})


def docstrings(section: type[Any]) -> Mapping[str, str]:
    """Return the text below each field of a dataclass, its bases' fields included, read from its source."""
    texts: dict[str, str] = {}
    for base in section.__bases__:
        if is_dataclass(base):
            texts |= docstrings(base)
    tree = ast.parse(dedent(inspect.getsource(section)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for statement, after in pairwise(body):
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and isinstance(text, str):
            texts[statement.target.id] = " ".join(text.split())
    return texts


@cache
def _adapter(section: type[Any]) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(_annotation(section))


def _model(section: type[Any], name: str, first: Mapping[str, Any]) -> type[pydantic.BaseModel]:
    texts, hints = docstrings(section), hints_of(section)
    members: dict[str, Any] = dict(first)
    for f in fields(section):
        members[yaml_name(f.name)] = (_annotation(hints[f.name]), _field(f, hints[f.name], texts.get(f.name)))
    config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    model: type[pydantic.BaseModel] = pydantic.create_model(name, __config__=config, __doc__=inspect.getdoc(section), **members)
    return model


def _field(f: "Field[Any]", hint: Any, text: str | None) -> FieldInfo:
    """Describe one field; its default is shown in the schema as an operator would write it."""
    if _is_required(f):
        required: FieldInfo = pydantic.Field(description=text)
        return required
    default: Any = f.default if f.default_factory is MISSING else f.default_factory()
    shown = str(default) if isinstance(default, Secret) else write(default, hint)  # A built-in default is no secret.
    made: FieldInfo = pydantic.Field(default_factory=lambda: default, description=text, json_schema_extra={"default": shown})
    return made


def _annotation(hint: Any) -> Any:
    """Return how pydantic reads a field of this type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        marker = args[1]
        return _plugin(marker) if isinstance(marker, Kinds) else _quantity(QUANTITIES[marker.kind])
    if is_optional(hint):
        return _annotation(not_none(args)) | None
    if origin is tuple:
        return tuple[_annotation(args[0]), ...]  # type: ignore[misc]
    if origin is not None and is_below(origin, Mapping):
        return dict[str, _annotation(args[1])]  # type: ignore[misc]
    if origin is Literal:
        return _words(args)
    if is_dataclass(hint) and isinstance(hint, type):
        return Annotated[model_of(hint), AfterValidator(partial(_made, hint))]
    if is_below(hint, Enum):
        return Annotated[_words([member.value for member in hint]), AfterValidator(partial(_member, hint))]
    if hint is Secret:
        return Annotated[Secret, PlainValidator(_read_secret), WithJsonSchema({"type": "string"})]
    if hint is str:
        return Annotated[str, PlainValidator(_read_text), WithJsonSchema({"type": "string"})]
    return _quantity(QUANTITIES[_PLAIN_KINDS[hint]])


def _quantity(quantity: Quantity) -> Any:
    forms = quantity.json.get("anyOf", [dict(quantity.json)])
    return Annotated[Any, PlainValidator(quantity.read), WithJsonSchema({"anyOf": [*forms, _REFERENCE]})]


def _words(known: Iterable[str]) -> Any:
    words = list(known)

    def read_word(value: object) -> str:
        if isinstance(value, str) and value in words:
            return str(value)
        hint = (
            ""
            if isinstance(value, Expanded)
            else f", {meant(value, words, 'words') if isinstance(value, str) else 'known words: ' + ', '.join(words)}"
        )
        raise ValueError(f"{quoted(value)} is not known here{hint}")

    return Annotated[Any, PlainValidator(read_word), WithJsonSchema({"anyOf": [{"enum": words}, _REFERENCE]})]


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(
            f'{quoted(value)} is not text; put quotes around it: "{value}"' if isinstance(value, int | float) else "expected text"
        )
    return value


def _read_secret(value: object) -> Secret:
    """Read text that no message shows."""
    if not isinstance(value, str):
        raise ValueError("expected text in quotes, or a reference: ${NAME} or ${file:/path}")
    if not value or any(not " " <= c <= "~" for c in value):
        raise ValueError("a secret that is empty, or holds line ends or other characters that no header carries")
    return Secret(value)


def _member(hint: type[Enum], text: str) -> Enum:
    """Return a word's member; from Python 3.13 on an enumeration's own signature is no validator's."""
    return hint(text)


def _made(section: type[T], model: pydantic.BaseModel) -> T:
    """Return the dataclass of a model that was read."""
    return section(**{f.name: getattr(model, yaml_name(f.name)) for f in fields(section)})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Shorthand:
    """In the JSON schema: a plugin without required keys may be written as its kind alone."""

    kinds: tuple[str, ...]

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {"anyOf": [handler(core), {"enum": list(self.kinds)}]}


def _plugin(kinds: Kinds) -> Any:
    models = {kind: _kind_model(kinds, kind) for kind in kinds.registry}
    by_model = {model: kind for kind, model in models.items()}

    def spelled_out(value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    def chosen(model: pydantic.BaseModel) -> Chosen:
        kind = by_model[type(model)]
        return Chosen(kind, _made(kinds.options(kind), model))

    either: Any = Union[tuple(models.values())]  # noqa: UP007
    union: Any = Annotated[either, pydantic.Field(discriminator="kind")]
    short = tuple(kind for kind in kinds.registry if not any(_is_required(f) for f in fields(kinds.options(kind))))
    return Annotated[union, BeforeValidator(spelled_out), AfterValidator(chosen), _Shorthand(short)]


def _is_required(f: "Field[Any]") -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _kind_model(kinds: Kinds, kind: str) -> type[pydantic.BaseModel]:
    first = {"kind": (Literal[kind], pydantic.Field(description=f"`{kind}`"))}
    return _model(kinds.options(kind), kinds.registry[kind].__name__, first)


def _without_titles(schema: Any, inside_properties: bool = False) -> Any:
    """Drop pydantic's titles, which repeat the keys."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_titles(value, key in {"properties", "$defs"})
        for key, value in schema.items()
        if inside_properties or key != "title" or not isinstance(value, str)
    }


def schema_text() -> str:
    """Return the JSON schema as it is kept in `config/sluice.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
