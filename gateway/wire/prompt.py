"""The text of a request: how much there is, what the router scores, and which conversation it belongs to.

Contents stay views into the body until somebody asks for their text, so that a long history costs a look at each
message's first byte. Sizes are counted as JSON spells the text, escapes included: that is what an estimate of tokens
per byte learns from, and it needs no decoding.
"""

import hashlib

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.value import Value
from gateway.wire.malformed import unfit

KEY_BYTES_MAX = 512
"""How much of each message tells conversations apart."""


class Message(msgspec.Struct, gc=False):
    """One message, its content unread."""

    role: str = ""
    content: Raw = Raw(b"null")
    tool_calls: Raw | UnsetType = UNSET


class _Part(msgspec.Struct, gc=False):
    text: Raw = Raw(b"null")


_decode_messages = msgspec.json.Decoder(list[Message]).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_prompts = msgspec.json.Decoder(list[str | int | list[int]]).decode
_decode_str = msgspec.json.Decoder(str).decode
_BLANK = hashlib.blake2b(digest_size=8)
"""Copied, never fed: making one anew costs twice as much."""
_SYSTEM = frozenset(("system", "developer"))
_QUOTE, _LIST = ord('"'), ord("[")


class Conversation(Value, frozen=True):
    """What a chat sends."""

    messages: list[Message]
    turns: int
    """Messages of the user."""
    string_bytes: int
    """Bytes of contents that are strings, without their quotes."""
    other_bytes: int
    """Bytes of text parts and of tool calls. Images, sound and files are left out: bytes do not tell their tokens."""
    count: int = 1
    token_ids: int = 0

    @property
    def text(self) -> str:
        """The newest question: of the last user message that has text, its parts joined by line ends; else "".

        Earlier turns are not scored, nor are tool results after it. When no user has text, the last text of anybody.
        """
        anybody = ""
        for message in reversed(self.messages):
            if message.role == "user":
                if text := _text(message.content):
                    return text
            elif not anybody:
                anybody = _text(message.content)
        return anybody

    @property
    def around(self) -> tuple[int, int]:
        """Characters of context and of system prompts around `text`; images and calls of tools have none."""
        sizes = {True: 0, False: 0}
        anybody = asked = 0
        is_of_system = False
        for message in reversed(self.messages):
            size = len(_text(message.content))
            is_system = message.role in _SYSTEM
            sizes[is_system] += size
            if message.role == "user":
                asked = asked or size
            elif not anybody:
                anybody, is_of_system = size, is_system
        # The scored text is context to nobody.
        sizes[not asked and is_of_system] -= asked or anybody
        return sizes[False], sizes[True]

    def key(self, user: str) -> str:
        """Return a digest that stays the same while the conversation grows: of all up to the first message of the user."""
        digest = _BLANK.copy()
        digest.update(user.encode())
        for message in self.messages:
            digest.update(memoryview(message.content)[:KEY_BYTES_MAX])
            if message.role == "user":
                break
        return digest.hexdigest()


class Prompts(Value, frozen=True):
    """What a completion or an embedding sends: a string, strings, token ids, or lists of token ids."""

    raw: Raw
    count: int
    string_bytes: int
    token_ids: int
    turns: int = 1
    other_bytes: int = 0
    around: tuple[int, int] = (0, 0)
    """A completion is all question."""

    @property
    def text(self) -> str:
        """The first prompt; "" when it is given as token ids."""
        raw = memoryview(self.raw)
        if raw[0] == _QUOTE:
            return _decode_str(raw)
        first = _several(self.raw)[:1]
        return first[0] if first and isinstance(first[0], str) else ""

    def key(self, user: str) -> str:
        """Return a digest of the prompt's first bytes: a conversation in plain completions grows at its end."""
        return hashlib.blake2b(memoryview(self.raw)[:KEY_BYTES_MAX], digest_size=8, key=user.encode()[:64]).hexdigest()


def read_conversation(messages: Raw) -> Conversation:
    """Read the value of `messages`.

    Raises: GatewayError BAD_REQUEST when it is no array of objects with string roles, or empty. Contents of any type are accepted.
    """
    try:
        listed = _decode_messages(messages)
    except msgspec.ValidationError as exc:
        raise unfit(exc, "messages") from exc
    if not listed:
        raise GatewayError(Reason.BAD_REQUEST, "`messages` is empty; send at least one message", "messages")
    turns = string_bytes = other_bytes = 0
    for message in listed:
        content = memoryview(message.content)
        if content[0] == _QUOTE:
            string_bytes += len(content) - 2
        elif content[0] == _LIST:
            other_bytes += sum([len(memoryview(part.text)) for part in _parts(message.content)])
        if message.tool_calls is not UNSET:
            other_bytes += len(memoryview(message.tool_calls))
        if message.role == "user":
            turns += 1
    return Conversation(listed, turns, string_bytes, other_bytes)


def read_prompts(raw: Raw) -> Prompts:
    """Read the value of `prompt` or `input`; anything but strings and token ids counts as one prompt without text."""
    view = memoryview(raw)
    if view[0] == _QUOTE:
        return Prompts(raw, 1, len(view) - 2, 0)
    if view[0] != _LIST:
        return Prompts(raw, 1, 0, 0)
    several = _several(raw)
    texts = [item for item in several if isinstance(item, str)]
    if texts:
        return Prompts(raw, len(several), sum(len(text.encode()) for text in texts), 0)
    ids = sum(len(item) if isinstance(item, list) else 1 for item in several)
    lists = sum(isinstance(item, list) for item in several)
    return Prompts(raw, lists or 1, 0, ids)


def _several(raw: Raw) -> list[str | int | list[int]]:
    try:
        return _decode_prompts(raw)
    except msgspec.ValidationError:
        return []


def _parts(content: Raw) -> list[_Part]:
    try:
        return _decode_parts(content)
    except msgspec.ValidationError:
        return []  # the backend will say what it thinks of such parts


def _text(content: Raw) -> str:
    view = memoryview(content)
    if view[0] == _QUOTE:
        return _decode_str(view)
    if view[0] != _LIST:
        return ""
    texts = [memoryview(part.text) for part in _parts(content)]
    return "\n".join(_decode_str(text) for text in texts if text[0] == _QUOTE)
