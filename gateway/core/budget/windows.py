"""Readings of one SLO over all windows that people look at, summed once.

Windows end now and lie in each other, so each is the next shorter one and a stretch before it: one pass over the slots serves all.
"""

from collections.abc import Mapping

from gateway.core.budget.counts import Counts
from gateway.core.budget.slo import Slo
from gateway.domain.reading import Reading

AHEAD_S = 10.0
"""Slots may carry another replica's clock, a little ahead of ours."""


def totals(name: str, counts: Counts, wall_s: float, windows: Mapping[str, float]) -> dict[str, float]:
    """Return the sums of one field over windows that end now, by their names."""
    until_s, total, sums = wall_s + AHEAD_S, 0.0, {}
    for window, length_s in sorted(windows.items(), key=lambda item: item[1]):
        from_s = wall_s - length_s
        total += counts.total(name, from_s, until_s)
        sums[window], until_s = total, from_s
    return sums


def readings(slo: Slo, counts: Counts, wall_s: float, windows: Mapping[str, float]) -> dict[str, Reading]:
    """Return bad and valid events over windows that end now; too little evidence reads as none."""
    bad, valid = (totals(name, counts, wall_s, windows) for name in (slo.bad_field, slo.valid_field))
    evidence = totals(slo.evidence_field, counts, wall_s, windows) if slo.evidence_field is not None else None
    return {
        name: Reading(bad[name] / slo.bad_scale, valid[name] / slo.valid_scale, length_s)
        if evidence is None or evidence[name] >= slo.evidence_min
        else Reading(0.0, 0.0, length_s)
        for name, length_s in windows.items()
    }
