"""The complete configuration as text: every default filled in, every secret hidden.

What comes out can be read again and means the same, except for what was hidden. Its canonical form is what the
configuration's hash is taken over: comments, order of keys, spelling of units and secrets do not change it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from hashlib import sha256
from typing import Annotated, Any, get_args, get_origin

import yaml

from gateway.config.fields import hints_of, is_optional, not_none, yaml_name
from gateway.config.plugins import Chosen, Kinds
from gateway.config.quantities import QUANTITIES
from gateway.config.references import Expanded
from gateway.config.scalars import read_plain, trap
from gateway.domain.catalog import Secret

HIDDEN = "***"
_SCHEME = re.compile(r"[a-z][a-z+]{0,20}\Z")
PRICED = ("mode", "routes", "classes", "slos", "pricing")
"""Beside the models, without their backends, what a budget tick reads."""
HASH_DIGITS = 16
"""64 bits tell configurations apart; nobody gains by forging one."""


def write(value: Any, hint: Any) -> Any:
    """Return a field's value as plain data, in the form in which an operator writes it."""
    origin, args = get_origin(hint), get_args(hint)
    if value is None:
        return None
    if isinstance(value, Secret):
        return hidden(value)
    if is_optional(hint):
        return write(value, not_none(args))
    if origin is Annotated and isinstance(value, Chosen) and isinstance(args[1], Kinds):
        return {"kind": value.kind} | write_section(value.options)
    if origin is Annotated:
        return QUANTITIES[args[1].kind].write(value)
    if is_dataclass(value) and not isinstance(value, type):
        return write_section(value)
    if isinstance(value, tuple):
        return [write(item, args[0]) for item in value]
    if isinstance(value, Mapping):
        return {key: write(item, args[1]) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Expanded):
        return value.written
    if isinstance(value, str):
        return value.replace("${", "$${")
    return QUANTITIES["number"].write(value) if isinstance(value, float) else value


def hidden(secret: Secret) -> str:
    """Return what may be shown of a secret: of a url its scheme, of anything else nothing."""
    scheme, colon, _ = secret.reveal().partition("://")
    return f"{scheme}{colon}{HIDDEN}" if colon and _SCHEME.match(scheme) else HIDDEN


def write_section(section: Any) -> dict[str, Any]:
    """Return a section as plain data; a secret that is the built-in default is none."""
    hints = hints_of(type(section))
    written = {}
    for f in fields(section):
        value = getattr(section, f.name)
        is_default = f.default is not MISSING and value == f.default
        written[yaml_name(f.name)] = str.__str__(value) if isinstance(value, Secret) and is_default else write(value, hints[f.name])
    return written


def as_yaml(section: Any) -> str:
    """Return a section, or a whole configuration, as YAML that this project reads without complaint."""
    return yaml.dump(write_section(section), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)


def hash_of(section: Any) -> str:
    """Return a short digest of what a configuration means."""
    canonical = json.dumps(write_section(section), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_DIGITS]


def price_hash_of(sections: Any) -> str:
    """Return a short digest of what prices are made from: equal for replicas that differ in addresses, directories or backends only."""
    written = write_section(sections)
    governing = {name: written[name] for name in PRICED if name in written}
    governing["models"] = [{key: part for key, part in model.items() if key != "backends"} for model in written["models"]]
    canonical = json.dumps(governing, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_DIGITS]


class _Dumper(yaml.SafeDumper):
    """Puts quotes around text that could be read as something else, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = text == read_plain(text) and trap(text) is None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Dumper.add_representer(str, _text)
