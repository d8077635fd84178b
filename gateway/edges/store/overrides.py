"""What operators may force by hand, as it lies in the store.

A change is one of
    {"verb": "pin", "route": str, "threshold": 0..1, "for_s": seconds, "by": str}
    {"verb": "freeze", "for_s": seconds, "by": str}
    {"verb": "unpin", "route": str | None, "by": str}      None clears every pin and the freeze
Everything expires; who did what, when and until when is kept in the audit list, whether it still holds or not.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from gateway.domain.prices import Overrides, Pin

FREEZE = "freeze"
PIN = "pin:"
AUDIT_MAX = 1000
"""Audited changes kept."""
BY_MAX = 200


def written(change: Mapping[str, Any], wall_s: float) -> tuple[str, str]:
    """Return (field, JSON) that a change made at `wall_s` writes.

    An empty JSON clears the field, an empty field clears all of them. Raises: ValueError when it is none of the above.
    """
    verb, by = change.get("verb"), str(change.get("by", ""))[:BY_MAX]
    if verb == "unpin":
        route = change.get("route")
        return (PIN + str(route) if route else ""), ""
    if verb == "freeze":
        return FREEZE, json.dumps({"until_wall_s": wall_s + _number(change, "for_s"), "by": by})
    if verb == "pin":
        route, threshold = change.get("route"), _number(change, "threshold")
        if not isinstance(route, str) or not route:
            raise ValueError("a pin needs a route")
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"a pinned threshold lies in 0..1, not {threshold:g}")
        return PIN + route, json.dumps({"threshold": threshold, "until_wall_s": wall_s + _number(change, "for_s"), "by": by})
    raise ValueError(f"unknown override {verb!r}: pin, freeze or unpin")


def audited(change: Mapping[str, Any], wall_s: float) -> str:
    """Return the line of the audit list."""
    told = {name: change[name] for name in ("verb", "route", "threshold", "for_s") if name in change}
    return json.dumps({"at_wall_s": wall_s, "by": str(change.get("by", ""))[:BY_MAX], **told})


def read(fields: Mapping[str, str], wall_s: float) -> Overrides:
    """Return what holds at `wall_s`; what has expired is left out."""
    pins: dict[str, Pin] = {}
    frozen_until, frozen_by = 0.0, ""
    for name, text in fields.items():
        data = json.loads(text)
        if data["until_wall_s"] <= wall_s:
            continue
        if name == FREEZE:
            frozen_until, frozen_by = data["until_wall_s"], data["by"]
        elif name.startswith(PIN):
            route = name[len(PIN) :]
            pins[route] = Pin(route, data["threshold"], data["until_wall_s"], data["by"])
    return Overrides(pins, frozen_until, frozen_by)


def _number(change: Mapping[str, Any], name: str) -> float:
    number = change.get(name)
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(f"a {change.get('verb')} needs {name}, a number")
    return float(number)
