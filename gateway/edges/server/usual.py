"""The usual call, read without a parser's machinery: one POST with a length, whole, and nothing unusual about it.

aiohttp's parser, its request, its body's stream and its task cost as much as the whole way through the core. Here a head that one
pattern accepts entirely becomes a dictionary. Everything else is none of this file's business and goes to aiohttp, which is strict:
chunked, compressed or expected bodies, upgrades, repeated fields that may stand only once, HTTP/1.0, broken or folded lines, a head
that came in pieces. What is read here, aiohttp would read in the same way (tests/unit/gateway/edges/server/test_usual.py).
"""

import re
from collections.abc import Collection, Mapping

from gateway.domain.value import value
from gateway.ports import Headers

FIELDS_MAX = 128

_LINE = re.compile(rb"POST (/[!-~]*) HTTP/1\.1\r\n")
_FIELD = re.compile(r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)\r\n", re.MULTILINE)
_ONCE = frozenset(
    (
        "content-length", "content-location", "content-range", "content-type", "etag", "host", "max-forwards", "server", "user-agent",
        "connection", "authorization", "x-api-key",
    )
)  # fmt: skip
"""May stand only once: aiohttp refuses more, or which of them counts is a matter of taste."""
_UNUSUAL = frozenset(("transfer-encoding", "content-encoding", "expect", "upgrade", "te", "trailer", "sec-websocket-key1"))


@value
class Usual:
    """One call, its body still to be filled in."""

    path: str
    query: str
    fields: Headers
    """As they came."""
    headers: Mapping[str, str]
    """The first of each name, names in lower case."""
    body_start: int
    """Offset of the body in the bytes that were read."""
    length: int
    """Bytes of the body."""
    body: bytes = b""


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
    if not (length.isascii() and length.isdigit() and len(length) < 16) or "host" not in headers or not _UNUSUAL.isdisjoint(headers):
        return None
    if "connection" in headers and headers["connection"].lower() != "keep-alive":
        return None
    wanted = int(length)
    return Usual(path, query, fields, headers, end + 4, wanted) if wanted <= body_max else None
