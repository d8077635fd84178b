"""Where the members of a JSON object lie in its bytes, and how deep the object is nested.

Parsers give values but no positions, and a byte-faithful rewrite needs positions. These walks are for bytes that a JSON
parser has accepted already; they check no syntax themselves. They cost tens of microseconds, so `request` takes them only
when a cheaper proof of where a key lies does not hold.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

SPACE = rb"[ \t\n\r]*+"
_SPACE = re.compile(SPACE)
_COLON = re.compile(SPACE + rb":" + SPACE)
# Possessive, so that a text of many escapes needs no backtracking stack.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^ \t\n\r,}\]]++")
_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|([\[{])|([\]}])', re.DOTALL)
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_decode_key = msgspec.json.Decoder(str).decode


class Member(NamedTuple):
    """One `"key": value` of an object; offsets into the bytes, ends exclusive."""

    key: str
    """As the parser reads it, escapes resolved."""
    key_start: int
    key_end: int
    value_start: int
    value_end: int


def string_end(text: bytes, start: int) -> int:
    """Return the offset behind the string that opens at `start`.

    Raises: ValueError when no string opens there.
    """
    found = _STRING.match(text, start)
    if found is None:
        raise ValueError(f"no JSON string at byte {start}")
    return found.end()


def value_start(text: bytes, key_end: int) -> int:
    """Return the offset of the value whose key ends at `key_end`.

    Raises: ValueError when no colon follows.
    """
    found = _COLON.match(text, key_end)
    if found is None:
        raise ValueError(f"no colon after the key that ends at byte {key_end}")
    return found.end()


def members(text: bytes, start: int = 0) -> Iterator[Member]:
    """Yield the members of the object at `start` (spaces before it are allowed) in their order, repeated ones too.

    Raises: ValueError when the bytes are not an object that a parser accepts.
    """
    at = _skip_space(text, start)
    if text[at : at + 1] != b"{":
        raise ValueError(f"no JSON object at byte {at}")
    at = _skip_space(text, at + 1)
    while text[at : at + 1] != b"}":
        key_end = string_end(text, at)
        first = value_start(text, key_end)
        last = _value_end(text, first)
        yield Member(_decode_key(text[at:key_end]), at, key_end, first, last)
        at = _skip_space(text, last)
        if text[at : at + 1] == b",":
            at = _skip_space(text, at + 1)
        elif text[at : at + 1] != b"}":
            raise ValueError(f"neither comma nor brace at byte {at}")


def is_deeper(text: bytes, levels: int) -> bool:
    """Say whether objects and arrays are nested more than `levels` deep."""
    if text.count(b"{") + text.count(b"[") <= levels:
        return False
    # Without escapes every quote opens or closes a string, so that each second piece between quotes lies outside.
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NOT_STRUCTURE)
    depth = 0
    for step in map(_STEPS.__getitem__, b"".join(plain.split(b'"')[::2])):
        depth += step
        if depth > levels:
            return True
    return False


def _skip_space(text: bytes, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _value_end(text: bytes, start: int) -> int:
    opening = text[start : start + 1]
    if opening == b'"':
        return string_end(text, start)
    if opening in (b"{", b"["):
        depth = 0
        for found in _BRACKETS.finditer(text, start):
            kind = found.lastindex
            if kind == 1:
                depth += 1
            elif kind == 2:
                depth -= 1
                if depth == 0:
                    return found.end()
        raise ValueError(f"what opens at byte {start} never closes")
    scalar = _SCALAR.match(text, start)
    if scalar is None:
        raise ValueError(f"no JSON value at byte {start}")
    return scalar.end()
