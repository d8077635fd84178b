"""A meter that also writes down what a stream's first choice says: only for streams of which somebody will ask whether it is JSON.

It stands in for the usual `Meter`, so that no other stream pays for the question. Events are then read one by one, a typed parse of one or
two microseconds each. Texts are kept as JSON spells them, and read once, at the end. Not text: reasoning, refusals, tool calls, and what
other choices (`n`) say. Where a chunk cannot be read the text is unknown, since the client may have understood more than we do.
"""

import msgspec
from msgspec import Raw

from gateway.wire.meter import Meter
from gateway.wire.sse import is_done

TEXT_BYTES_MAX = 1_000_000
"""Of one text, as JSON spells it. A longer one is let go, and nothing is said of it."""

_NULL = Raw(b"null")


class _Delta(msgspec.Struct, gc=False):
    content: Raw = _NULL


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_text = msgspec.json.Decoder(str).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Transcript(Meter):
    """Watches a stream as `Meter` does, and keeps its first choice's text."""

    __slots__ = ("_text",)

    def __init__(self) -> None:
        super().__init__()
        self._text: bytearray | None = bytearray()
        """As JSON spells it, without quotes; None once it cannot be known."""

    def see(self, data: bytes | None) -> None:
        """Take the data of the next event of a stream; None (a comment) is nothing."""
        super().see(data)
        if data is not None and self._text is not None and not is_done(data):
            self._add(self._text, data)

    def see_plain(self, raw: bytes, events: int) -> None:
        """Take several events of a stream at once, with their framing (`sse.plain_events`)."""
        for data in raw[6:-2].split(b"\n\ndata: "):
            self.see(data)

    @property
    def text(self) -> str | None:
        """What the first choice has said; None when that cannot be known: too long, or in a chunk of another shape."""
        if self._text is None:
            return None
        try:
            return _decode_text(b'"' + self._text + b'"')
        except _UNREADABLE:
            return None

    def _add(self, text: bytearray, data: bytes) -> None:
        try:
            choices = _decode_chunk(data).choices
        except _UNREADABLE:
            self._text = None
            return
        for choice in choices or ():
            if choice.index != 0 or choice.delta is None or choice.delta.content is _NULL:
                continue
            content = bytes(choice.delta.content)
            if content.startswith(b'"') and len(text) + len(content) - 2 <= TEXT_BYTES_MAX:
                text += content[1:-1]
            elif content != b"null":
                self._text = None
                return
