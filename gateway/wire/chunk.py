"""What one chunk of a stream says, or a whole answer: content, an end, an error, or only usage.

Typed parses that leave contents unread; each costs about a microsecond for a usual chunk, so a relay asks only when it
does not know yet. Data that is no JSON object, or not of the expected types, says nothing: the client gets it unchanged.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from gateway.wire.usage import UsageTold, usage_of

_NULL = Raw(b"null")
_NOTHING = (b"null", b'""', b"[]", b"{}")


class _Function(msgspec.Struct, gc=False):
    name: Raw = _NULL
    arguments: Raw = _NULL


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: Raw = _NULL


class Said(msgspec.Struct, gc=False):
    """What may hold content in a chunk's delta or in an answer's message, unread."""

    content: Raw = _NULL
    reasoning_content: Raw = _NULL
    reasoning: Raw = _NULL
    refusal: Raw = _NULL
    audio: Raw = _NULL
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class Choice(msgspec.Struct, gc=False):
    """One choice, of a chat or of a plain completion."""

    delta: Said | None = None
    message: Said | None = None
    text: Raw = _NULL
    finish_reason: str | None = None

    @property
    def said(self) -> Said | None:
        """The delta of a chunk, the message of a whole answer."""
        return self.message if self.delta is None else self.delta


class _Chunk(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None


class Whole(msgspec.Struct, gc=False):
    """What a whole answer is accounted by."""

    choices: list[Choice] | None = None
    usage: UsageTold | None = None


class _Error(msgspec.Struct, gc=False):
    error: Raw = _NULL
    object: Raw = _NULL


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_whole = msgspec.json.Decoder(Whole).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def choices_of(data: bytes) -> list[Choice] | None:
    """Return the choices of a chunk or a whole answer; None when it has no such member."""
    try:
        return _decode_chunk(data).choices
    except _UNREADABLE:
        return None


def whole_of(body: bytes) -> Whole | None:
    """Return choices and usage of a whole answer in one parse; None when either is not of the expected types."""
    try:
        return _decode_whole(body)
    except _UNREADABLE:
        return None


def content_bytes(choices: Iterable[Choice] | None) -> int:
    """Return the bytes of all that the choices say, as JSON spells it, without quotes; of tool calls names and arguments."""
    total = 0
    for choice in choices or ():
        if choice.text is not _NULL:
            total += _size(choice.text)
        said = choice.said
        if said is None:
            continue
        # Some servers spell reasoning twice, for old clients and new ones.
        reasoning = said.reasoning if said.reasoning_content is _NULL else said.reasoning_content
        for part in (said.content, reasoning, said.refusal, said.audio):
            if part is not _NULL:
                total += _size(part)
        for call in said.tool_calls or ():
            total += _size(call.custom) + _call_size(call.function)
        total += _call_size(said.function_call)
    return total


def are_saying(choices: Iterable[Choice] | None) -> bool:
    """Say whether the choices bring the client something: any content, or the opening of a tool call."""
    for choice in choices or ():
        said = choice.said
        if said is not None and (said.tool_calls or said.function_call is not None):
            return True
    return content_bytes(choices) > 0


def has_content(data: bytes) -> bool:
    """Say whether this chunk brings the client something: text, reasoning, a refusal, sound, a tool call.

    A first delta with only a role, an empty text, a finish reason alone, [DONE] and a usage chunk bring nothing.
    """
    return are_saying(choices_of(data))


def finish_reason_of(data: bytes) -> str | None:
    """Return the finish reason of a chunk or of a whole answer: the first choice's that has one."""
    return next((choice.finish_reason for choice in choices_of(data) or () if choice.finish_reason), None)


def is_error(data: bytes) -> bool:
    """Say whether this is an error object: a top-level `error` that says something, or `object: error` (older vLLM)."""
    if b'"error"' not in data:
        return False
    try:
        head = _decode_error(data)
    except _UNREADABLE:
        return False
    return bytes(head.error) not in _NOTHING or bytes(head.object) == b'"error"'


def is_usage_only(data: bytes) -> bool:
    """Say whether this is the extra chunk that `stream_options.include_usage` brings: usage and no choices."""
    return usage_of(data) is not None and not choices_of(data)


def _call_size(function: _Function | None) -> int:
    return 0 if function is None else _size(function.name) + _size(function.arguments)


def _size(part: Raw) -> int:
    plain = bytes(part)
    if plain in _NOTHING:
        return 0
    return len(plain) - 2 if plain.startswith(b'"') else len(plain)
