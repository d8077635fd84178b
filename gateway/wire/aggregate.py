"""One answer made from a stream, for backends that only stream (`aggregate: true`).

Not byte-faithful: the answer is built anew from what the chunks said. Text deltas are joined, tool calls are joined by
their index, logprobs are strung together, and of every other member the last value that is not null counts, so that
unknown members survive.
"""

from typing import Any

import msgspec

from gateway.domain.errors import GatewayError, Reason

ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""Bound on what one answer may hold in memory."""

_JOINED = frozenset(("content", "refusal", "reasoning_content", "reasoning"))
_OBJECTS = {"chat.completion.chunk": "chat.completion"}
_decode = msgspec.json.Decoder().decode

Json = dict[str, Any]


class _Text:
    """A text that grows by pieces; joined once, when the answer is written."""

    __slots__ = ("pieces",)

    def __init__(self, first: str) -> None:
        self.pieces = [first]


def _joined(text: _Text) -> str:
    return "".join(text.pieces)


_encode = msgspec.json.Encoder(enc_hook=_joined).encode


class Aggregate:
    """Collects the chunks of one stream, chat or plain completion."""

    def __init__(self, bytes_max: int = ANSWER_BYTES_MAX) -> None:
        self._head: Json = {}
        self._choices: dict[int, Json] = {}
        self._left = bytes_max

    def add(self, data: bytes) -> None:
        """Take the data of one event; [DONE] is not for here.

        Raises: GatewayError UPSTREAM_BAD_ANSWER when it is no chunk, or the answer grows beyond the bound.
        """
        self._left -= len(data)
        if self._left < 0:
            raise GatewayError(Reason.UPSTREAM_BAD_ANSWER, "the backend's streamed answer is too large to be put together")
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise GatewayError(Reason.UPSTREAM_BAD_ANSWER, "the backend sent a chunk that is not JSON") from exc
        choices = chunk.pop("choices", None) if isinstance(chunk, dict) else None
        if not isinstance(chunk, dict) or not isinstance(choices, list | None):
            raise GatewayError(Reason.UPSTREAM_BAD_ANSWER, "the backend sent a chunk that is no chunk of a completion")
        _take_last(self._head, chunk)
        for choice in choices or ():
            if not isinstance(choice, dict):
                raise GatewayError(Reason.UPSTREAM_BAD_ANSWER, "the backend sent a choice that is no object")
            self._add_choice(choice)

    def result(self) -> bytes:
        """Return the answer as JSON: `chat.completion`, or `text_completion` for plain completions."""
        head = dict(self._head)
        head["object"] = _OBJECTS.get(str(head.get("object")), head.get("object"))
        usage = head.pop("usage", None)
        answer: Json = {**head, "choices": [_finished(self._choices[index]) for index in sorted(self._choices)]}
        if usage is not None:
            answer["usage"] = usage
        return _encode(answer)

    def _add_choice(self, choice: Json) -> None:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        into = self._choices.setdefault(index, {"index": index})
        delta = choice.pop("delta", None)
        text = choice.pop("text", None)
        logprobs = choice.pop("logprobs", None)
        if isinstance(delta, dict):
            _add_delta(into.setdefault("message", {}), delta)
        if isinstance(text, str):
            _append(into, "text", text)
        into.setdefault("logprobs", None)
        if isinstance(logprobs, dict):
            into["logprobs"] = _strung(into["logprobs"] or {}, logprobs)
        into.setdefault("finish_reason", None)
        _take_last(into, choice)


def _add_delta(message: Json, delta: Json) -> None:
    calls = delta.pop("tool_calls", None)
    for place, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict):
            index = call.pop("index", None)
            by_index = message.setdefault("tool_calls", {})
            _add_call(by_index.setdefault(index if isinstance(index, int) else place, {}), call)
    function = delta.pop("function_call", None)
    if isinstance(function, dict):
        _add_function(message.setdefault("function_call", {}), function)
    for key, told in delta.items():
        if key in _JOINED and isinstance(told, str):
            _append(message, key, told)
        elif told is not None or key not in message:
            message[key] = told


def _add_call(into: Json, call: Json) -> None:
    for kind in ("function", "custom"):
        part = call.pop(kind, None)
        if isinstance(part, dict):
            _add_function(into.setdefault(kind, {}), part)
    _take_last(into, call)


def _add_function(into: Json, function: Json) -> None:
    for key, told in function.items():
        if key in ("arguments", "input") and isinstance(told, str):
            _append(into, key, told)
        elif told is not None:
            into[key] = told


def _append(into: Json, key: str, told: str) -> None:
    text = into.get(key)
    if isinstance(text, _Text):
        text.pieces.append(told)
    else:
        into[key] = _Text(told)


def _take_last(into: Json, new: Json) -> None:
    for key, told in new.items():
        if told is not None or key not in into:
            into[key] = told


def _strung(so_far: Json, new: Json) -> Json:
    for key, told in new.items():
        if isinstance(told, list) and isinstance(so_far.get(key), list):
            so_far[key].extend(told)
        elif told is not None or key not in so_far:
            so_far[key] = told
    return so_far


def _finished(choice: Json) -> Json:
    if "message" not in choice:
        return choice
    message = {"role": "assistant", "content": None, "refusal": None, **choice["message"]}
    if "tool_calls" in message:
        message["tool_calls"] = [call for _, call in sorted(message["tool_calls"].items())]
    return {**choice, "message": message}
