"""Tiers: which pairs of windows say that a budget burns too fast, and how fast that is.

Theory: a tier fires when, at the pace of its long window, a share of the whole budget would be gone within that window, and
the short window says that it still goes on. Shares are those of the SRE Workbook ("Alerting on SLOs", table 5-8); SLO windows
shorter than four weeks have larger ones, since a small share of a small budget is too few events (as in Sloth's week).
Burn rate factors follow: 14.4, 6, 3, 1 for 30 days; 13.44, 5.6, 2.8, 0.93 for 28.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.budget.burn import WINDOWS_S

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Tier:
    """One pair of windows; fires when `share` of the budget would be gone within the long one."""

    severity: str
    long: str
    short: str
    share: float
    share_week: float
    """The same for SLO windows shorter than four weeks, where a small share is too few events."""

    def factor(self, window_s: float) -> float:
        """Return the burn rate that fires, for an SLO window."""
        share = self.share if window_s >= 28 * DAY_S else self.share_week
        return share * window_s / WINDOWS_S[self.long]


TIERS = (
    Tier("page", "1h", "5m", 0.02, 0.08),
    Tier("page", "6h", "30m", 0.05, 0.125),
    Tier("ticket", "1d", "2h", 0.10, 0.20),
    Tier("ticket", "3d", "6h", 0.10, 0.42),
)
LEAST_FACTOR = 0.9
"""A tier that would fire below the allowed pace says nothing; SLO windows of hours have none left."""


def tiers_within(length_s: float) -> Sequence[Tier]:
    """Return the tiers that make sense for an SLO's window."""
    return [t for t in TIERS if WINDOWS_S[t.long] <= length_s / 2 and t.factor(length_s) >= LEAST_FACTOR]
