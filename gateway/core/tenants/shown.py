"""Limits as operators see them: for the page, /admin/state and the metrics, made when somebody looks.

At most `SHOWN_MAX` of them, in the order in which they were first asked for, so that the same ones are shown each time: one look takes
the loop 1.3 ms, however many tenants there are (measured with 20,000). Of the others only the refusals are known, by kind.
"""

from itertools import islice
from typing import Any

from gateway.core.tenants.lease import DAY_S, Lease
from gateway.core.tenants.limits import LimitState
from gateway.domain.event import NANO
from gateway.domain.limit import LimitKind

SHOWN_MAX = 500


def shown(limits: LimitState, now_s: float, wall_s: float) -> dict[str, Any]:
    """Return how limits stand: `limits`, `known` (how many there are), and `refused` by kind, of all of them. Dollars are dollars."""
    rows = [_row(lease, now_s, wall_s) for lease in islice(limits.leases, SHOWN_MAX)]
    return {"known": len(limits.leases), "refused": {kind.value: n for kind, n in limits.refused.items()}, "limits": rows}


def _row(lease: Lease, now_s: float, wall_s: float) -> dict[str, Any]:
    limit = lease.limit
    scope, _, of = limit.name.rpartition("/")[0].partition(":")
    unit = NANO if limit.kind is LimitKind.USD else 1
    remaining = lease.remaining(now_s, int(wall_s // DAY_S))
    return {
        "tenant": limit.tenant,
        "scope": scope,
        "of": of or None,
        "kind": limit.kind.value,
        "said": limit.said,
        "amount": limit.amount / unit,
        "remaining": remaining / unit,
        "at_hand": max(lease.balance, 0) / unit if now_s < lease.until_s else 0.0,
        "used": lease.used_here() / unit,
        "refused": lease.refused,
        "whole_s": lease.whole_s(remaining, wall_s),
        "is_share": lease.share is not None,
    }
