"""Alerts: which tier each budget is in, with memory, so that neither silence nor a single failure changes it.

A tier comes on when the shrunk ratios of both its windows are above its limit and the long one is so beyond doubt
(`evidence.py`); it goes off when either is not above any more. Without events in the short window nothing changes. The scope
to which a route's ratios are shrunk is the fleet's SLO of the same kind, where there is one, else its own longest window.
The exported Prometheus rules keep the plain form, so that they can be compared with those of other tools.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.budget.evidence import exceeds, shrunk
from gateway.core.budget.slo import Slo
from gateway.core.budget.tiers import Tier, tiers_within
from gateway.core.budget.windows import Windows
from gateway.domain.reading import Reading

SEVERITIES = ("page", "ticket")
"""Worst first."""

Readings = Mapping[str, Reading]


@dataclass(slots=True)
class Alerts:
    """The tiers that are on, by SLO id."""

    windows: Windows = field(default_factory=Windows)
    """What readings are made with."""
    _on: dict[str, frozenset[Tier]] = field(default_factory=dict)

    def look(self, slo: Slo, own: Readings, parent: Readings | None, length_s: float) -> str | None:
        """Take in the readings of one SLO; return the worst severity that is on: page, ticket or None.

        Args:
            own, parent: readings by window; `parent` of the fleet's SLO of the same kind.
            length_s: length of the SLO's window or period.
        """
        was_on = self._on.get(slo.id, frozenset())
        on = frozenset(t for t in tiers_within(length_s) if _is_on(slo, t, own, parent, length_s, t in was_on))
        self._on[slo.id] = on
        return next((s for s in SEVERITIES if any(t.severity == s for t in on)), None)


def _is_on(slo: Slo, tier: Tier, own: Readings, parent: Readings | None, length_s: float, was_on: bool) -> bool:
    short, long = own[tier.short], own[tier.long]
    if short.valid <= 0:
        return was_on
    limit = tier.factor(length_s) * slo.bad_ratio
    longest = max(own.values(), key=lambda r: r.window_s)
    for reading, name in ((short, tier.short), (long, tier.long)):
        steady = parent[name].ratio if parent is not None else longest.ratio
        if shrunk(reading.bad, reading.valid, slo.bad_ratio if steady is None else steady) <= limit:
            return False
    return was_on or exceeds(long.bad, long.valid, limit)
