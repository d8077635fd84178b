"""What can be said of an answer's form without understanding it: empty, cut at the context's end, not the JSON that was asked for.

Only asked when some SLO wants to know (`core/budget/promise.py`). JSON is checked in answers that are held whole, and in streams of which a
`Transcript` was made because their client asked for JSON; of any other stream nothing but its last chunks is kept, so its form is judged by
content and finish reason alone.
"""

import msgspec

from gateway.domain.event import Form
from gateway.wire.meter import Meter
from gateway.wire.request import Decoded
from gateway.wire.transcript import Transcript

JSON_FORMATS = frozenset({"json_object", "json_schema"})


class _Format(msgspec.Struct, gc=False):
    type: str | None = None


class _Asked(msgspec.Struct, gc=False):
    response_format: _Format | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None


class _Whole(msgspec.Struct, gc=False):
    choices: list[_Choice] = []


_decode_asked = msgspec.json.Decoder(_Asked).decode
_decode_whole = msgspec.json.Decoder(_Whole).decode
# Reads all of it and builds nothing: a twentieth of the time, and a number too large for Python is JSON still.
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def form_of(decoded: Decoded, meter: Meter, body: bytes | None) -> Form:
    """Return the form of a served answer.

    meter: of a stream that may be called NOT_JSON, a `Transcript`. body: a whole answer's; None for a stream.
    """
    if not meter.has_content:
        return Form.EMPTY
    if decoded.tokens_max is None and meter.finish_reason == "length":
        return Form.CUT
    if body is not None:
        is_broken = wants_json(decoded) and not has_json(body)
    else:
        text = meter.text if isinstance(meter, Transcript) else None
        is_broken = text is not None and text != "" and not is_json(text)
    return Form.NOT_JSON if is_broken else Form.WHOLE


def wants_json(decoded: Decoded) -> bool:
    """Say whether the client asked for an answer in JSON."""
    if not decoded.has_response_format:
        return False
    try:
        asked = _decode_asked(decoded.body).response_format
    except _UNREADABLE:
        return False
    return asked is not None and asked.type in JSON_FORMATS


def has_json(body: bytes) -> bool:
    """Say whether every text of a whole answer is JSON; a choice without text (a tool call) is no contradiction."""
    try:
        for choice in _decode_whole(body).choices:
            if choice.message is not None and choice.message.content:
                _decode_any(choice.message.content)
    except _UNREADABLE:
        return False
    return True


def is_json(text: str) -> bool:
    """Say whether a text is JSON."""
    try:
        _decode_any(text)
    except _UNREADABLE:
        return False
    return True
