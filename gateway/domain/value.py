"""`@value`: a dataclass for what is built on every request.

Slots, and read-only to the type checker but not at run time: a frozen dataclass assigns each field through
`object.__setattr__`, which costs several times as much (see `tests/bench/bench_core.py`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, dataclass_transform

T = TypeVar("T")

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True)
    def value(cls: type[T]) -> type[T]:
        """Declare a value class; the type checker refuses assignment to its fields."""
        ...
else:

    def value(cls):
        """Declare a value class; the type checker refuses assignment to its fields."""
        return dataclass(slots=True)(cls)
