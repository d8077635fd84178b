"""What a client asks for, read from the bytes of its body, and the same bytes with another model's name in them.

The body is never rebuilt. `decode` reads only what is needed to route, limit and price a request; `splice` replaces the
value of the top-level `model` (and what metering a stream needs) and leaves every other byte as it was sent: key order,
spaces, number forms, unknown fields, repeated unknown fields.

Where the top-level `model` lies. msgspec gives values without positions, and walking the members in Python costs more
than everything else here. The cheap proof, for nearly all bodies: cut out the value of `messages` (or `prompt`, `input`).
A controlled key that msgspec saw at top level then occurs in the rest in its literal spelling, unless an escape hides a
letter of it (`"mod\\u0065l"`). So, without such an escape in the rest, a key whose literal occurs exactly once there is
at top level and is not repeated. Whenever the proof fails, the members are walked (`members.py`).

Refused, since two parsers could read it differently: repeated controlled keys, and `model` beside `Model` (Go's parser
folds case). Refused as broken: what is not UTF-8, NaN, half surrogate pairs, nesting deeper than `LEVELS_MAX`. Not judged
here: what the backend alone must understand. Shown by tests/property/gateway/wire/test_request.py.
"""

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import CHAT, COMPLETIONS, Endpoint, Talk
from gateway.domain.value import Value
from gateway.wire.malformed import malformed, too_deep
from gateway.wire.members import Member, is_deeper, members, string_end, value_start
from gateway.wire.prompt import Conversation, Prompts, read_conversation, read_prompts

LEVELS_MAX = 200
"""Deepest nesting accepted. Python backends answer 500 from about 1000 on, which would count against the backend."""

REST_MAX, RESTS_KEPT = 1024, 512
"""Bytes of a body without its text up to which it is remembered where its `model` lies, and how many bodies are: half a megabyte."""

HINTS_KEY = "sluice"
"""Top-level member for our own hints; never forwarded."""

_NUMBERS = ("max_tokens", "max_completion_tokens", "n")
_TEXTS = ("messages", "prompt", "input", "tools", "functions", "response_format")
CONTROLLED = frozenset(("model", "stream", "stream_options", "user", HINTS_KEY, *_NUMBERS, *_TEXTS))
"""Members that decide something here, and therefore may stand in a body only once."""

_LITERALS = re.compile(rb'"(' + "|".join(sorted(CONTROLLED)).encode() + rb')"[ \t\n\r]*:')
_HIDDEN_LETTER = re.compile(rb"\\u00[4-7]")
_INCLUDE = b'"include_usage":true'
_ASK = b',"stream_options":{' + _INCLUDE + b"}"
_NULL = Raw(b"null")


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Chat(msgspec.Struct, gc=False):
    model: str
    messages: Raw
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | float | None = None
    max_completion_tokens: int | float | None = None
    n: int | float | None = None
    user: str | None = None
    tools: Raw = _NULL
    functions: Raw = _NULL
    response_format: Raw = _NULL
    sluice: Raw | UnsetType = UNSET


class _Completion(_Chat, gc=False):
    messages: Raw = _NULL
    prompt: Raw = _NULL


class _Embedding(_Chat, gc=False):
    messages: Raw = _NULL
    input: Raw = _NULL


_decode_chat = msgspec.json.Decoder(_Chat).decode
_decode_completion = msgspec.json.Decoder(_Completion).decode
_decode_embedding = msgspec.json.Decoder(_Embedding).decode
_encode = msgspec.json.Encoder().encode


class Decoded(Value, frozen=True):
    """One request body, read as far as the gateway needs it. No text leaves it but `prompt_text`, for the scorer."""

    endpoint: Endpoint
    body: bytes
    """As sent."""
    model: str
    is_streaming: bool
    wants_usage: bool
    """Whether the client itself asked for the usage chunk of a stream."""
    tokens_max: int | None
    """The client's limit on each answer's tokens; `max_completion_tokens` goes before `max_tokens`."""
    n: int
    """Answers asked for, over all prompts."""
    user: str | None
    has_tools: bool
    has_response_format: bool
    has_hints: bool
    text_bytes: int
    """Bytes of all text that becomes prompt tokens, as JSON spells it: contents, tool calls, tools, answer schema."""
    prompt: Conversation | Prompts
    model_start: int
    model_end: int
    """Where the value of the top-level `model` begins and ends, for `splice`."""
    may_have_options: bool
    """False when there is certainly no `stream_options`, for `splice`."""

    def __repr__(self) -> str:
        # Not the generated one: a body shall not reach a log by way of a traceback.
        return f"Decoded({self.endpoint.value}, model={self.model!r}, {len(self.body)} bytes)"

    @property
    def prompt_text(self) -> str:
        """The text that is scored: the newest question of a chat, the first prompt of a completion. Decoded when asked."""
        return self.prompt.text

    @property
    def talk(self) -> Talk:
        """What surrounds that text. All of it is decoded when asked, so ask only for who reads it."""
        context, system = self.prompt.around
        return Talk(self.prompt.turns, context, system, self.has_tools, self.tokens_max)

    @property
    def conversation_key(self) -> str:
        """A digest of the user and the start of the conversation, 16 hex digits; later turns of it have the same."""
        return self.prompt.key(self.user or "")

    @property
    def turns(self) -> int:
        """Messages of the user; 1 for completions."""
        return self.prompt.turns

    @property
    def token_ids(self) -> int:
        """Prompt tokens that the client sent as numbers, besides `text_bytes`; exact."""
        return self.prompt.token_ids


def decode(endpoint: Endpoint, body: bytes) -> Decoded:
    """Read a request body.

    Raises: GatewayError BAD_JSON (says where), BAD_REQUEST (with `param`), AMBIGUOUS_REQUEST (a repeated key).
    """
    fields: Any
    try:
        if not body.isascii():
            str(body, "utf-8")
        if endpoint is CHAT:
            fields, literal = _decode_chat(body), b'"messages":'
            text = fields.messages
        elif endpoint is COMPLETIONS:
            fields, literal = _decode_completion(body), b'"prompt":'
            text = fields.prompt
        else:
            fields, literal = _decode_embedding(body), b'"input":'
            text = fields.input
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise malformed(body, exc, LEVELS_MAX) from exc

    prompt = read_conversation(text) if endpoint is CHAT else read_prompts(text)
    # A bomb needs two brackets a level, outside of strings.
    if len(body) - prompt.string_bytes > 2 * LEVELS_MAX and is_deeper(body, LEVELS_MAX):
        raise too_deep(LEVELS_MAX)
    tools, functions, answer_format = fields.tools, fields.functions, fields.response_format
    has_tools = (tools is not _NULL and _says_something(tools)) or (functions is not _NULL and _says_something(functions))
    has_format = answer_format is not _NULL and _says_something(answer_format)
    text_bytes = prompt.string_bytes + prompt.other_bytes
    if has_tools or has_format:
        text_bytes += sum(len(memoryview(raw)) for raw in (tools, functions, answer_format))
    tokens_max = fields.max_completion_tokens
    if tokens_max is not None:
        tokens_max = _whole(tokens_max, "max_completion_tokens", 0)
    elif fields.max_tokens is not None:
        tokens_max = _whole(fields.max_tokens, "max_tokens", 0)
    model_start, model_end, may_have_options = _find_model(body, literal, text)
    return Decoded(
        endpoint,
        body,
        fields.model,
        fields.stream is True,
        fields.stream_options is not None and fields.stream_options.include_usage is True,
        tokens_max,
        prompt.count if fields.n is None else prompt.count * _whole(fields.n, "n", 1),
        fields.user,
        has_tools,
        has_format,
        fields.sluice is not UNSET,
        text_bytes,
        prompt,
        model_start,
        model_end,
        may_have_options,
    )


def splice(decoded: Decoded, model: str, include_usage: bool) -> bytes:
    """Return the body for a backend that calls the model `model`.

    Only the value of the top-level `model` is replaced, our own hints are cut out with one comma, and, when
    `include_usage` is set for a stream whose client did not ask for it, `stream_options.include_usage` becomes true.
    """
    body, start, end = decoded.body, decoded.model_start, decoded.model_end
    name = _encode(model)
    must_ask = include_usage and decoded.is_streaming and not decoded.wants_usage
    if not decoded.has_hints and not (must_ask and decoded.may_have_options):
        return b"".join((body[:start], name, _ASK if must_ask else b"", body[end:]))
    cuts = [(start, end, name)]
    everything = list(members(body))
    if decoded.has_hints:
        cuts.append((*_removal(everything), b""))
    if must_ask:
        options = next((member for member in everything if member.key == "stream_options"), None)
        cuts.append(_asking(body, options) if options else (end, end, _ASK))
    pieces: list[bytes] = []
    at = 0
    for start, end, new in sorted(cuts):
        pieces += (body[at:start], new)
        at = end
    pieces.append(body[at:])
    return b"".join(pieces)


def _find_model(body: bytes, literal: bytes, text: Raw) -> tuple[int, int, bool]:
    """Return where the value of the top-level `model` begins and ends, and whether there may be `stream_options`."""
    key = body.find(literal)
    cut = key + len(literal)
    if not body.startswith(text, cut):
        cut += 1  # the usual single space
    if key < 0 or not body.startswith(text, cut):
        return _walk_to_model(body)
    cut_end = cut + len(memoryview(text))
    rest = body[:cut] + body[cut_end:]
    proven = _model_in_known(rest) if len(rest) <= REST_MAX else _model_in(rest)
    if proven is None:
        return _walk_to_model(body)
    start, end, has_options = proven
    if start > cut:
        start, end = start + cut_end - cut, end + cut_end - cut
    return start, end, has_options


def _model_in(rest: bytes) -> tuple[int, int, bool] | None:
    """Return the same of a body without its text; None when it is not proven which `model` is the one."""
    # The cut leaves `"messages":` in the rest, so that a second one shows as a repetition like any other.
    found = _LITERALS.findall(rest)
    is_proven = len({*found}) == len(found) and rest.lower().count(b'"model"') == 1
    if not is_proven or (b"\\u00" in rest and _HIDDEN_LETTER.search(rest)):
        return None
    start = value_start(rest, rest.find(b'"model"') + 7)
    return start, string_end(rest, start), b"stream_options" in found


# Clients ask with the same parameters again and again: 0.3 us instead of 6. A pure function, so that remembering changes nothing.
_model_in_known = lru_cache(maxsize=RESTS_KEPT)(_model_in)


def _walk_to_model(body: bytes) -> tuple[int, int, bool]:
    seen: dict[str, Member] = {}
    for member in members(body):
        key = "model" if len(member.key) == 5 and member.key.lower() == "model" else member.key
        if key in seen and key in CONTROLLED:
            raise GatewayError(Reason.AMBIGUOUS_REQUEST, f"`{key}` is given more than once; send it once", key)
        seen[key] = member
    model = seen["model"]
    return model.value_start, model.value_end, "stream_options" in seen


def _removal(everything: list[Member]) -> tuple[int, int]:
    at = next(i for i, member in enumerate(everything) if member.key == HINTS_KEY)
    hints = everything[at]
    if at > 0:
        return everything[at - 1].value_end, hints.value_end
    return hints.key_start, everything[1].key_start  # `model` is there, so that another member follows


def _asking(body: bytes, options: Member) -> tuple[int, int, bytes]:
    if body[options.value_start : options.value_start + 1] != b"{":  # null
        return options.value_start, options.value_end, b"{" + _INCLUDE + b"}"
    inside = list(members(body, options.value_start))
    for member in reversed(inside):  # of repeated members parsers take the last
        if member.key == "include_usage":
            return member.value_start, member.value_end, b"true"
    return options.value_start + 1, options.value_start + 1, _INCLUDE + (b"," if inside else b"")


def _says_something(raw: Raw) -> bool:
    return bytes(raw) not in (b"null", b"[]", b"{}")


def _whole(number: int | float, param: str, least: int) -> int:
    if type(number) is int and number >= least:
        return number
    whole = int(number)
    if whole != number or whole < least:
        raise GatewayError(Reason.BAD_REQUEST, f"`{param}` must be a whole number of at least {least}, not {number}", param)
    return whole
