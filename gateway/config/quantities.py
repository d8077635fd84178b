"""Numbers with units, as operators write them and as the code holds them.

A duration or size carries its unit in the value (`800ms`, `10MiB`); a bare number for a duration is refused, because
its reader would have to guess. Every `read_*` takes a decoded YAML value and raises ValueError with a message for the
operator; every `write_*` is its inverse, for `--effective` and the JSON schema.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gateway.config.references import Expanded, quoted

_SECONDS: Mapping[str, Fraction] = {
    "w": Fraction(604_800),
    "d": Fraction(86_400),
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
    "us": Fraction(1, 1_000_000),
}
_BYTES: Mapping[str, int] = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "GB": 10**9, "MB": 10**6, "KB": 1000, "B": 1}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)[ ]?([A-Za-z]+)\Z")
_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")

DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)? ?(us|ms|s|m|h|d|w)$"
BYTES_PATTERN = r"^[0-9]+(\.[0-9]+)? ?(B|KB|KiB|MB|MiB|GB|GiB)$"
REFERENCE_PATTERN = r"\$\{[^}]+\}"


def read_duration(value: object) -> float:
    """Return seconds > 0."""
    found = _AMOUNT.match(value) if isinstance(value, str) else None
    if found is None and _number(value) is not None:
        raise ValueError(f"a duration without unit; write {_amount(value)}s, {_amount(value)}ms, ... (us, ms, s, m, h, d, w)")
    if found is None or found[2] not in _SECONDS:
        raise ValueError(f"{quoted(value)} is not a duration{_unit_of(value)}; write for example 800ms, 2s, 10m, 1h or 28d")
    seconds = float(Fraction(found[1]) * _SECONDS[found[2]])
    if seconds <= 0:
        raise ValueError("a duration must be longer than 0")
    return seconds


def write_duration(seconds: float) -> str:
    """Return the shortest exact spelling: 0.8 -> 800ms, 2419200 -> 28d."""
    exact = Fraction(str(seconds))
    for unit, length in _SECONDS.items():
        if unit != "w" and exact % length == 0:
            return f"{exact // length}{unit}"
    return f"{seconds:f}s"


def read_bytes(value: object) -> int:
    """Return a whole number of bytes >= 1; a plain integer is bytes."""
    found = _AMOUNT.match(value) if isinstance(value, str) else None
    if found is not None and found[2] in _BYTES:
        size = Fraction(found[1]) * _BYTES[found[2]]
    else:
        number = _number(value)
        if number is None or number != int(number):
            raise ValueError(f"{quoted(value)} is not a size{_unit_of(value)}; write for example 64KiB, 10MiB or a whole number of bytes")
        size = Fraction(int(number))
    if size < 1 or size.denominator != 1:
        raise ValueError("a size must be a whole number of bytes, at least 1")
    return int(size)


def write_bytes(size: int) -> str | int:
    """Return the shortest exact spelling in binary units; a plain integer when none fits."""
    return next((f"{size // _BYTES[unit]}{unit}" for unit in ("GiB", "MiB", "KiB") if size % _BYTES[unit] == 0), size)


def read_ratio(value: object) -> float:
    """Return a ratio in 0..1; percent is refused."""
    if isinstance(value, str) and value.endswith("%"):
        raise ValueError(f"ratios are written 0..1, not in percent{_as_ratio(value)}")
    number = _number(value)
    if number is None:
        raise ValueError(f"{quoted(value)} is not a ratio; write a number from 0 to 1, for example 0.35")
    if not 0 <= number <= 1:
        raise ValueError(
            f"{quoted(value)} is outside 0..1" + (f"; ratios are not in percent{_as_ratio(value)}" if 1 < number <= 100 else "")
        )
    return number


def _as_ratio(value: object) -> str:
    text = str(value).removesuffix("%").strip()
    return f"; write {float(text) / 100:.10g}" if _PLAIN.match(text) and not isinstance(value, Expanded) else ""


def read_usd(value: object) -> float:
    """Return dollars > 0."""
    number = _number(value)
    if number is None:
        raise ValueError(f"{quoted(value)} is not an amount; write dollars as a plain number, for example 5000 or 0.5")
    if number <= 0:
        raise ValueError(f"a budget of {quoted(value)} dollars; it must be more than 0")
    return number


def read_count(value: object) -> int:
    """Return a whole number >= 1."""
    number = read_integer(value)
    if number < 1:
        raise ValueError(f"{quoted(value)} is less than 1")
    return number


def read_integer(value: object) -> int:
    """Return a whole number."""
    number = _number(value)
    if number is None or number != int(number):
        raise ValueError(f"{quoted(value)} is not a whole number")
    return value if isinstance(value, int) else int(number)


def read_number(value: object) -> float:
    """Return a finite number."""
    number = _number(value)
    if number is None:
        raise ValueError(f"{quoted(value)} is not a number")
    return number


def read_flag(value: object) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Expanded) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise ValueError(f"{quoted(value)} is neither true nor false")


def _unit_of(value: object) -> str:
    """Return a remark on an amount whose unit nobody knows."""
    found = _AMOUNT.match(value) if isinstance(value, str) and not isinstance(value, Expanded) else None
    return f" (unknown unit '{found[2]}')" if found else ""


def _amount(value: object) -> str:
    """Return a number as it was written, for a message."""
    return value.written if isinstance(value, Expanded) else f"{value}"


def _number(value: object) -> float | None:
    """Return a finite number, also one that a reference brought in as text; None for anything else."""
    if isinstance(value, Expanded) and _PLAIN.match(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One way of writing a number: how it is read, written, and described in the JSON schema."""

    read: Callable[[object], Any]
    write: Callable[[Any], Any]
    json: Mapping[str, Any]


def _plain(number: float) -> float | int:
    """Return whole numbers without `.0`."""
    return int(number) if number == int(number) else number


_NUMBER = {"type": "number"}
QUANTITIES: Mapping[str, Quantity] = {
    "duration": Quantity(read_duration, write_duration, {"type": "string", "pattern": DURATION_PATTERN}),
    "bytes": Quantity(
        read_bytes, write_bytes, {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": BYTES_PATTERN}]}
    ),
    "ratio": Quantity(read_ratio, _plain, _NUMBER | {"minimum": 0, "maximum": 1}),
    "usd": Quantity(read_usd, _plain, _NUMBER | {"exclusiveMinimum": 0}),
    "count": Quantity(read_count, int, {"type": "integer", "minimum": 1}),
    "integer": Quantity(read_integer, int, {"type": "integer"}),
    "number": Quantity(read_number, _plain, _NUMBER),
    "flag": Quantity(read_flag, bool, {"type": "boolean"}),
}
"""By the kind of `domain.units.Unit`, and by the plain types integer, number and flag."""
