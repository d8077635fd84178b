"""What an operator asks for with pin, freeze and unpin, checked before anybody acts on it."""

from typing import Any

import msgspec

FOR_S_MAX = 7 * 86_400.0
"""Break-glass expires: a week at most."""
BY_MAX = 64
FIELDS = {
    "pin": frozenset({"verb", "by", "route", "threshold", "for_s"}),
    "freeze": frozenset({"verb", "by", "for_s"}),
    "unpin": frozenset({"verb", "by", "route"}),
}


def read_change(body: bytes) -> dict[str, Any]:
    """Read an override.

    Returns: `{"verb": "pin", "route", "threshold", "for_s", "by"}`, `{"verb": "freeze", "for_s", "by"}`, or
        `{"verb": "unpin", "route", "by"}`; an unpin without a route (None) clears every pin and the freeze.
    Raises: ValueError that says what is wrong.
    """
    try:
        given = msgspec.json.decode(body)
    except msgspec.DecodeError as exc:
        raise ValueError(f"not JSON: {exc}") from exc
    if not isinstance(given, dict) or given.get("verb") not in FIELDS:
        raise ValueError('send {"verb": "pin" or "freeze" or "unpin", ...}')
    verb = given["verb"]
    unknown = sorted(given.keys() - FIELDS[verb])
    if unknown:
        raise ValueError(f"{verb} has no {', '.join(unknown)}; it takes {', '.join(sorted(FIELDS[verb] - {'verb'}))}")
    change = {"verb": verb, "by": _by(given.get("by", ""))}
    if verb != "freeze":
        change["route"] = _route(given.get("route"), is_needed=verb == "pin")
    if verb == "pin":
        change["threshold"] = _number(given, "threshold", 0.0, 1.0)
    if verb != "unpin":
        change["for_s"] = _number(given, "for_s", 1.0, FOR_S_MAX)
    return change


def _number(given: dict[str, Any], field: str, least: float, most: float) -> float:
    value = given.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{field}: a number from {least:g} to {most:g}")
    return float(value)


def _route(value: Any, is_needed: bool) -> str | None:
    if value is None and not is_needed:
        return None
    if not isinstance(value, str) or not value:
        raise ValueError("route: the name of a route")
    return value


def _by(value: Any) -> str:
    """Return who says so, in a form that can stand in an audit line."""
    if not isinstance(value, str) or len(value) > BY_MAX or not value.isprintable():
        raise ValueError(f"by: at most {BY_MAX} printable characters")
    return value
