"""What does an unquoted word in the file mean, and would every YAML reader agree?

YAML 1.1 (PyYAML, many tools) and YAML 1.2 (editors, JSON schema checkers, Go and JavaScript readers) disagree on `no`,
`1:30`, `0777`, `1e3` and others. Only words on which both agree are read; the others are refused with what to write
instead. Dates stay text: whoever wants one reads it.
"""

import re

_TRUE_FALSE = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_SWITCH = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)(e[-+][0-9]+)?\Z", re.IGNORECASE)
_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)e[-+]?[0-9]+\Z", re.IGNORECASE)
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9]*)?\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+\Z")
_OTHER_BASE = re.compile(r"[-+]?0[xob][0-9a-f_]+\Z", re.IGNORECASE)
_GROUPED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)\Z", re.IGNORECASE)
DIGITS_MAX = 18
"""A longer integer is no quantity of ours, and turning thousands of digits into a number is slow."""

Scalar = bool | int | float | str | None


class Refused(str):
    """A word with two readings, kept as text; its problem is already noted."""

    __slots__ = ()


def read_plain(text: str) -> Scalar:
    """Return the meaning of an unquoted word: null, true, false, a decimal number, or text."""
    if text in _TRUE_FALSE:
        return _TRUE_FALSE[text]
    if text in _NULL:
        return None
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def trap(text: str) -> str | None:
    """Return why an unquoted word is refused, and what to write instead; None when all readers agree on it."""
    if instead := _SWITCH.get(text.lower()):
        return f'unquoted {text} is {instead} to some YAML readers and text to others; write {instead}, or "{text}" for the text'
    if _SEXAGESIMAL.match(text):
        return f'unquoted {text} is a number in base 60 to some YAML readers; write a duration such as 90s, or "{text}" for the text'
    if _LEADING_ZERO.match(text):
        return f'unquoted {text} is an octal number to some YAML readers; write it without leading zero, or "{text}" for the text'
    if _OTHER_BASE.match(text):
        return f'{text} is not a decimal number; write it in decimal, or "{text}" for the text'
    if _GROUPED.match(text):
        return f"unquoted {text} is a number to some YAML readers and text to others; write {text.replace('_', '')}"
    if _NOT_FINITE.match(text):
        return f"{text} is not a number that can be used here"
    if _INTEGER.match(text) and len(text) > DIGITS_MAX:
        return f"a number of {len(text)} digits; put quotes around it if it is text"
    if _EXPONENT.match(text) and not _FLOAT.match(text):
        return f'unquoted {text} is text to some YAML readers and a number to others; write {_plainly(text)}, or "{text}" for the text'
    return None


def _plainly(text: str) -> str:
    """Return a number without its exponent, as far as that is readable."""
    number = float(text)
    return "it without exponent" if not 1e-9 < abs(number) < 1e18 else f"{number:.12f}".rstrip("0").rstrip(".")
