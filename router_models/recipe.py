"""A recipe: everything that decides what is trained, read from one YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the file and the key."""


@dataclass(frozen=True)
class Recipe:
    """What to train and on which rows."""

    kind: str
    """Key of the router in the registry."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Read by that router's fitter."""
    drop_where: str | None = None
    """Boolean column of the data; rows where it is true are left out."""
    hold_out_fold: int | None = None
    """Fold of the stem (0..4) that training never sees."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """File name -> licence, for the card."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """File name -> sha256 of the data that the recipe's artifact was made from: files of these names must have these contents, and files of
    other names may not stand beside them. Data without any of these names is other data, which `drop_where` and `hold_out_fold` say
    nothing about. Empty: any data."""

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as the card keeps it."""
        return {"kind": self.kind, "options": dict(self.options), "drop_where": self.drop_where, "hold_out_fold": self.hold_out_fold}


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises: RecipeError when it is missing, not YAML, or has unknown or missing keys.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as exc:
        raise RecipeError(f"{path}: {exc}") from exc
    if not isinstance(content, dict) or "kind" not in content:
        raise RecipeError(f"{path}: needs a mapping with the key 'kind'")
    known = {"kind", "options", "drop_where", "hold_out_fold", "licences", "sha256"}
    if unknown := sorted(set(content) - known):
        raise RecipeError(f"{path}: unknown keys {unknown}; known are {sorted(known)}")
    return Recipe(**content)
