"""Which plugin did the operator choose, and with which options?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.budget.slis.registry import SLIS
from gateway.core.pricing.laws.registry import LAWS


@dataclass(frozen=True, slots=True)
class Chosen:
    """A plugin by its kind, with its own options built."""

    kind: str
    options: Any


@dataclass(frozen=True, slots=True)
class Kinds:
    """Marks a field that takes one of the plugins of a registry: `kind` and the plugin's own options."""

    registry: Mapping[str, Any]

    def options(self, kind: str) -> type[Any]:
        """Return the plugin's `Options` dataclass."""
        found: type[Any] = self.registry[kind].Options
        return found

    def default(self, kind: str) -> Chosen:
        """Return a plugin with all of its defaults."""
        return Chosen(kind, self.options(kind)())

    def __hash__(self) -> int:
        return id(self.registry)


SLI_KINDS, LAW_KINDS = Kinds(SLIS), Kinds(LAWS)
