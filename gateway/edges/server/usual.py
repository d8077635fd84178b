"""The usual call, read without a parser's machinery: one POST with a length, whole, and nothing unusual about it.

aiohttp's parser, its request, its body's stream and its task cost as much as the whole way through the core. Here a head that one
pattern accepts entirely becomes a dictionary. Everything else is none of this file's business and goes to aiohttp, which is strict:
chunked, compressed or expected bodies, upgrades, repeated fields that may stand only once, HTTP/1.0, broken or folded lines, a head
that came in pieces. What is read here, aiohttp would read in the same way (tests/unit/gateway/edges/server/test_usual.py).

A client sends the same head again and again on one connection, but for the length: `Recurring` knows it by comparing bytes (0.7 us
instead of 5).
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from gateway.domain.value import Value
from gateway.ports import Headers
from gateway.wire.headers import kept

FIELDS_MAX = 128

_LINE = re.compile(rb"POST (/[!-~]*) HTTP/1\.1\r\n")
_FIELD = re.compile(r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)\r\n", re.MULTILINE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_DIGITS_MAX = 15
_ONCE = frozenset(
    (
        "content-length", "content-location", "content-range", "content-type", "etag", "host", "max-forwards", "server", "user-agent",
        "connection", "authorization", "x-api-key",
    )
)  # fmt: skip
"""May stand only once: aiohttp refuses more, or which of them counts is a matter of taste."""
_UNUSUAL = frozenset(("transfer-encoding", "content-encoding", "expect", "upgrade", "te", "trailer", "sec-websocket-key1"))


class Head:
    """What the head of a call says; of calls whose heads are alike there is one."""

    __slots__ = ("caller", "fields", "headers", "path", "query")

    def __init__(self, path: str, query: str, fields: Headers, headers: Mapping[str, str]) -> None:
        self.path, self.query = path, query
        self.fields = fields
        """As they came; of a head that came again only what goes on to a backend (`wire/headers.py`, `kept`)."""
        self.headers = headers
        """The first of each name, names in lower case."""
        self.caller: Any = None
        """What whoever answers made of the headers; kept for the next call."""


class Usual(Value, frozen=True):
    """One call."""

    head: Head
    body_start: int
    """Offset of the body in the bytes that were read."""
    length: int
    """Bytes of the body."""


def read_usual(data: bytes, paths: Collection[str], head_max: int, body_max: int) -> Usual | None:
    """Read the head of a call; None when it is not here whole, or unusual in any way."""
    end = data.find(b"\r\n\r\n")
    line = _LINE.match(data)
    if end < 0 or end + 4 > head_max or line is None:
        return None
    path, _, query = line[1].decode("ascii").partition("?")
    if path not in paths or "#" in query:
        return None
    text = data[line.end() : end + 2].decode("utf-8", "surrogateescape")
    fields = _FIELD.findall(text)
    # Each field ends at the one line end it has, so that nothing lies between two of them.
    if not len(fields) == text.count("\n") == text.count("\r") or len(fields) > FIELDS_MAX:
        return None
    if " \r" in text or "\t\r" in text:
        fields = [(name, told.rstrip(" \t")) for name, told in fields]
    headers: dict[str, str] = {}
    for name, told in fields:
        low = name.lower()
        if low in headers:
            if low in _ONCE:
                return None
            continue
        headers[low] = told
    length = headers.get("content-length", "")
    if (
        not (length.isascii() and length.isdigit() and len(length) <= _DIGITS_MAX)
        or "host" not in headers
        or not _UNUSUAL.isdisjoint(headers)
    ):
        return None
    if "connection" in headers and headers["connection"].lower() != "keep-alive":
        return None
    wanted = int(length)
    return Usual(Head(path, query, fields, headers), end + 4, wanted) if wanted <= body_max else None


class Recurring:
    """The head of a call that was read, to know the next one of the same bytes and another length."""

    __slots__ = ("_after", "_before", "_head", "_is_kept")

    def __init__(self, data: bytes, call: Usual) -> None:
        found = _LENGTH.search(data, 0, call.body_start)
        assert found is not None  # or else it would not be usual
        self._before, self._after = data[: found.start(1)], data[found.end(1) : call.body_start]
        self._head, self._is_kept = call.head, False

    def read(self, data: bytes, head_max: int, body_max: int) -> Usual | None:
        """Return the call that these bytes begin; None when its head is another one."""
        start = len(self._before)
        end = data.find(b"\r", start, start + _DIGITS_MAX + 1)
        if end < 0 or not data.startswith(self._before) or not data.startswith(self._after, end):
            return None
        digits, body_start = data[start:end], end + len(self._after)
        if not digits.isdigit() or body_start > head_max or int(digits) > body_max:
            return None
        head = self._head
        if not self._is_kept:
            head.fields, self._is_kept = kept(head.fields), True
        return Usual(head, body_start, int(digits))
