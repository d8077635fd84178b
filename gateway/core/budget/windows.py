"""Readings of one SLO over all windows that people look at, summed once.

Windows end now and lie in each other, so each is the next shorter one and a stretch before it: one pass over the slots serves all.
What lies more than `NEAR_S` back hardly changes, and is most of the work: it is summed anew once a minute. Meanwhile up to a minute
of events at that border is in neither part, under a thousandth of a day.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.budget.counts import Counts
from gateway.core.budget.slo import Slo
from gateway.domain.reading import Reading

AHEAD_S = 10.0
"""Slots may carry another replica's clock, a little ahead of ours."""
NEAR_S = 21_600.0
KEEP_S = 60.0


@dataclass(slots=True)
class Windows:
    """Sums over windows, with a memory for what lies far back."""

    _far: dict[tuple[str, float, float], tuple[float, float]] = field(default_factory=dict)
    """By counter, and how long ago the stretch begins and ends: its sum, and when it was made."""

    def totals(self, name: str, counts: Counts, wall_s: float, windows: Mapping[str, float]) -> dict[str, float]:
        """Return the sums of one field over windows that end now, by their names."""
        since_s, total, sums = -AHEAD_S, 0.0, {}
        for window, length_s in sorted(windows.items(), key=lambda item: item[1]):
            total += self._stretch(name, counts, wall_s, length_s, since_s)
            sums[window], since_s = total, length_s
        return sums

    def readings(self, slo: Slo, counts: Counts, wall_s: float, windows: Mapping[str, float]) -> dict[str, Reading]:
        """Return bad and valid events over windows that end now; too little evidence reads as none."""
        bad, valid = (self.totals(name, counts, wall_s, windows) for name in (slo.bad_field, slo.valid_field))
        evidence = self.totals(slo.evidence_field, counts, wall_s, windows) if slo.evidence_field is not None else None
        return {
            name: Reading(bad[name] / slo.bad_scale, valid[name] / slo.valid_scale, length_s)
            if evidence is None or evidence[name] >= slo.evidence_min
            else Reading(0.0, 0.0, length_s)
            for name, length_s in windows.items()
        }

    def _stretch(self, name: str, counts: Counts, wall_s: float, from_ago_s: float, to_ago_s: float) -> float:
        """Return the sum of a stretch, given by how long ago it began and ended."""
        if to_ago_s < NEAR_S:
            return counts.total(name, wall_s - from_ago_s, wall_s - to_ago_s)
        key = (name, from_ago_s, to_ago_s)
        known = self._far.get(key)
        if known is None or not 0 <= wall_s - known[1] < KEEP_S:
            known = self._far[key] = counts.total(name, wall_s - from_ago_s, wall_s - to_ago_s), wall_s
        return known[0]
