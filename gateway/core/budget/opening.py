"""The first hour of a period that begins inside an hour's slot.

Theory: counts of ten seconds are kept for a quarter of an hour and those of five minutes for some hours, so that later nobody could
tell what a slot counted before the period began and what after. While the finer slots are there, what came from the beginning to the next
whole slot is summed once and remembered, first up to five minutes, then up to the hour; from there on wide slots are exact.
It is published with the law's memory, or else a restart after twenty minutes would find another budget than it left.

Not handled: verdicts, which come hours late into slots of long ago (their accounts go by the slots alone); an hour in which nobody
governed (then the slot counts by its covered share); and what is counted into the opening later than `SETTLED_S` (known from
increments, forgotten when the account is summed anew).
Shown by `tests/unit/.../test_opening.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gateway.core.budget.counts import KEPT, WIDTHS_S, Counts

SETTLED_S = 120.0
"""A slot is complete this long after its end: flushes are late by less, but for outages."""


@dataclass(slots=True)
class Opening:
    """What one period counted from its beginning to `until_s`, by field."""

    starts_s: float
    until_s: float
    amounts: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, starts_s: float) -> "Opening":
        """Begin; nothing is remembered yet."""
        return cls(starts_s, starts_s)

    def advance(self, names: Iterable[str], counts: Counts, wall_s: float) -> None:
        """Remember what is complete by now, while the slots that tell it are kept."""
        for finer, width in pairwise(WIDTHS_S):
            boundary_s = -(-self.starts_s // width) * width
            is_told = self.until_s >= wall_s - (KEPT[finer] - 1) * finer
            if self.until_s < boundary_s <= wall_s - SETTLED_S and is_told:
                for name in names:
                    self.amounts[name] = self.amounts.get(name, 0.0) + counts.total(name, self.until_s, boundary_s)
                self.until_s = boundary_s

    def total(self, name: str, counts: Counts, to_s: float) -> float:
        """Return the sum of one field from the beginning of the period to `to_s`."""
        if name not in self.amounts:  # Of an SLO that came with a later edit.
            return counts.total(name, self.starts_s, to_s)
        return self.amounts[name] + counts.total(name, self.until_s, to_s)

    def as_json(self) -> Mapping[str, Any]:
        """Return plain data, `of_json`'s inverse."""
        return {"starts_s": self.starts_s, "until_s": self.until_s, "amounts": self.amounts}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> "Opening":
        """Read what another writer published."""
        return cls(float(data["starts_s"]), float(data["until_s"]), {str(n): float(a) for n, a in data["amounts"].items()})
