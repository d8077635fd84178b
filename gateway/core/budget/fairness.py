"""Fairness between tenants, as a gauge: it is shown and moves nothing.

Theory: each tenant is entitled to an answer for what it asks within its limits. Its service x is the share of its requests of the last
five to ten minutes that were answered, what was its own fault left out; Jain's index of them, (Σx)² / (N Σx²), is 1 when all are served
alike and 1/N when one has everything. Classes are not weighed: that sheds take the lowest class first shows here.
Source: Jain, Chiu and Hawe, DEC-TR-301 (1984). Of one process's own requests.
"""

from gateway.core.budget.slis.availability import EXCLUDED
from gateway.domain.errors import CLIENT_CANCELLED, SERVED, Reason

SPAN_S = 300.0
REQUESTS_MIN = 5
"""Tenants with fewer requests say nothing."""


class Fairness:
    """Requests asked and answered by tenant, of this span and the one before; survives a config swap."""

    def __init__(self) -> None:
        self._now: dict[str, list[int]] = {}
        self._before: dict[str, list[int]] = {}
        self._began_s = 0.0

    def ended(self, tenant: str, reason: Reason, now_s: float) -> None:
        """Take in how one request ended."""
        self._turn(now_s)
        if reason is CLIENT_CANCELLED or reason in EXCLUDED:
            return
        known = self._now.get(tenant)
        if known is None:
            known = self._now[tenant] = [0, 0]
        known[0] += 1
        known[1] += reason is SERVED

    def index(self, now_s: float) -> float | None:
        """Return Jain's index; None with fewer than two tenants that asked enough."""
        self._turn(now_s)
        served = []
        for tenant in self._now.keys() | self._before.keys():
            (asked_now, now), (asked_before, before) = (spans.get(tenant, (0, 0)) for spans in (self._now, self._before))
            if asked_now + asked_before >= REQUESTS_MIN:
                served.append((now + before) / (asked_now + asked_before))
        squares = sum(x * x for x in served)
        if len(served) < 2:
            return None
        return sum(served) ** 2 / (len(served) * squares) if squares > 0 else 1.0  # Nobody is served: all alike.

    def _turn(self, now_s: float) -> None:
        age_s = now_s - self._began_s
        if age_s >= SPAN_S:
            self._before = self._now if age_s < 2 * SPAN_S else {}
            self._now, self._began_s = {}, now_s
