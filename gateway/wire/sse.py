"""Server-sent events as bytes: where one ends, and which bytes of it are data.

The reader finds complete events in bytes cut anywhere and gives each with the bytes it came in, so that a relay can pass
on what it got: the `raw` of all events and the `rest`, joined, are exactly what was fed. Equal bytes give equal events for
every cut (tests/property/gateway/wire/test_sse.py).

Line ends are LF, CRLF or CR (the HTML standard). A CR at the end of what has come may be half of a CRLF, so an event that
ends in one is held until the next byte or `finish`; servers that end lines with a bare CR are not known. Memory is bounded:
an event larger than `event_bytes_max` is an error. Fields other than `data` are passed on and not interpreted.
"""

import re

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.value import Value

EVENT_BYTES_MAX = 4 * 1024 * 1024
DONE = b"[DONE]"

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
# A CR counts only when what follows is known.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?=[^\n])){2}")


class SseEvent(Value, frozen=True):
    """One event: its bytes with the blank line behind it, and its data without framing; None without a data field."""

    raw: bytes
    data: bytes | None


class SseReader:
    """Cuts a byte stream into events."""

    __slots__ = ("_is_first", "_max", "_tail")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._max = event_bytes_max
        self._tail = bytearray()
        self._is_first = True

    @property
    def is_between_events(self) -> bool:
        """Whether everything that was fed belonged to whole events."""
        return not self._tail

    @property
    def rest(self) -> bytes:
        """Bytes of an event that is not complete yet."""
        return bytes(self._tail)

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take bytes and return the events that they complete, often one, often none.

        Raises: GatewayError UPSTREAM_BAD_ANSWER when an event outgrows the bound.
        """
        tail = self._tail
        # The usual read: one event of one line. Its first line end opens its blank line.
        if chunk.find(b"\n") == len(chunk) - 2 and not tail and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            return [self._event(chunk)]
        data: bytes | bytearray = chunk
        search = 0
        if tail:
            search = max(0, len(tail) - 3)
            tail += chunk
            data = tail
        events: list[SseEvent] = []
        start = 0
        has_cr = b"\r" in data
        while True:
            if has_cr:
                found = _BLANK_LINE.search(data, search)
                end = -1 if found is None else found.end()
            else:
                end = data.find(b"\n\n", search) + 2
                end = -1 if end == 1 else end
            if end < 0:
                break
            events.append(self._event(bytes(data[start:end]) if data is tail else chunk[start:end]))
            start = search = end
        if data is tail:
            del tail[:start]
        elif start < len(chunk):
            tail += chunk[start:]
        if len(tail) > self._max:
            raise GatewayError(Reason.UPSTREAM_BAD_ANSWER, f"the backend sent an event of more than {self._max} bytes")
        return events

    def finish(self) -> list[SseEvent]:
        """Take the end of the stream and return what it completes: at most one event, empty `rest` after it.

        Several servers end without the last blank line, so a last event with data counts, other than the standard says.
        """
        left = bytes(self._tail)
        self._tail.clear()
        return [self._event(left)] if left else []

    def _event(self, raw: bytes) -> SseEvent:
        if len(raw) > self._max:
            raise GatewayError(Reason.UPSTREAM_BAD_ANSWER, f"the backend sent an event of more than {self._max} bytes")
        text = raw
        if self._is_first:
            self._is_first = False
            text = raw.removeprefix(_BOM)
        # The usual event: one line of data, ended by LF.
        if text.startswith(b"data: ") and text.find(b"\n") == len(text) - 2 and b"\r" not in text:
            return SseEvent(raw, text[6:-2])
        return SseEvent(raw, _data(text))


def first_event(data: bytes) -> tuple[bytes, bytes]:
    """Split behind the first LF LF: at most one event of the usual spelling, and what follows."""
    end = data.find(b"\n\n") + 2
    return (data, b"") if end == 1 else (data[:end], data[end:])


def plain_events(data: bytes) -> tuple[int, int]:
    """Return how many bytes at the start of `data` are plain events, and how many events.

    Plain: whole, one line that begins with `data: `, ended by LF LF, and nothing in it but content: no [DONE], error or usage. They can
    be passed on together without a look at each. `data` begins with an event.
    """
    if not data.startswith(b"data: ") or b"\r" in data:
        return 0, 0
    end = len(data)
    for mark in (DONE, b'"error"'):
        at = data.find(mark, 0, end)
        if at >= 0:
            end = at
    at = data.find(b'"usage"', 0, end)
    while at >= 0 and (data.startswith(b":null", at + 7) or data.startswith(b": null", at + 7)):
        at = data.find(b'"usage"', at + 7, end)
    if at >= 0:
        end = at
    end = data.rfind(b"\n\n", 0, end) + 2
    events = data.count(b"\n\n", 0, end)
    if end < 8 or data.count(b"\n", 0, end) != 2 * events or data.count(b"\n\ndata: ", 0, end) != events - 1:
        return 0, 0
    return end, events


def is_done(data: bytes) -> bool:
    """Say whether this is the mark that ends an OpenAI stream."""
    return data == DONE or data.strip() == DONE


def _data(text: bytes) -> bytes | None:
    """Join the data lines of an event of any spelling; comments and other fields are left out."""
    lines: list[bytes] = []
    for line in _LINE_END.split(text):
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
        elif line == b"data":
            lines.append(b"")
    return b"\n".join(lines) if lines else None
