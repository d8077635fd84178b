"""The bodies that a simulated backend sends, spelled as OpenAI spells them: stream events and whole answers, as bytes.

A stream begins with a delta that has only the role, has one event per token, ends with an event that has only the finish
reason, then usage if it was asked for (null in all events before), then [DONE]. Whole answers carry two null fields that
vLLM adds and OpenAI does not have: a gateway must hand on what it does not know.
"""

import base64
import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from load.answer import Answer
from load.ask import Ask, Endpoint

DONE = b"data: [DONE]\n\n"
OWNER = "simulated"
"""Who owns the model, said wherever a client may read it."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens of one response, all prompts and choices together."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    def body(self) -> dict[str, Any]:
        """As OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }


class Frames:
    """Stream events of one choice; what does not change is laid out once."""

    def __init__(self, ask: Ask, name: str, created: int, index: int) -> None:
        head = _head(name, ask.endpoint, created, ask.model, is_chunk=True)
        self._head = b'data: {%b,"choices":[{"index":%d,' % (head, index)
        self._tail = b'}],"usage":null}\n\n' if ask.includes_usage else b"}]}\n\n"
        self._tool = _string(ask.tool.name) if ask.tool else None
        self._call = _string(f"call_{name[-12:]}{index}")
        self._is_chat = ask.endpoint is Endpoint.CHAT
        open_, shut = self._around()
        self._token_head = self._head + open_
        self._token_tail = shut + b',"logprobs":null,"finish_reason":null' + self._tail

    def _around(self) -> tuple[bytes, bytes]:
        """Return what stands before and after the fragment of a token."""
        if not self._is_chat:
            return b'"text":"', b'"'
        if self._tool is not None:
            return b'"delta":{"tool_calls":[{"index":0,"function":{"arguments":"', b'"}}]}'
        return b'"delta":{"content":"', b'"}'

    def first(self) -> bytes:
        """The event that says who speaks, without content; completions have none."""
        if not self._is_chat:
            return b""
        delta = b'{"role":"assistant","content":""}'
        if self._tool is not None:
            call = b'{"index":0,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}' % (self._call, self._tool)
            delta = b'{"role":"assistant","content":null,"tool_calls":[%b]}' % call
        return b'%b"delta":%b,"logprobs":null,"finish_reason":null%b' % (self._head, delta, self._tail)

    def tokens(self, pieces: Iterable[bytes]) -> bytes:
        """One event for each fragment."""
        head, tail = self._token_head, self._token_tail
        return b"".join([head + piece + tail for piece in pieces])

    def last(self, finish_reason: str) -> bytes:
        """The event that says why it ended."""
        said = b'"delta":{}' if self._is_chat else b'"text":""'
        return b'%b%b,"logprobs":null,"finish_reason":%b%b' % (self._head, said, _string(finish_reason), self._tail)


def usage_frame(ask: Ask, name: str, created: int, spent: Spent) -> bytes:
    """The event with usage and no choices."""
    head = _head(name, ask.endpoint, created, ask.model, is_chunk=True)
    return b'data: {%b,"choices":[],"usage":%b}\n\n' % (head, msgspec.json.encode(spent.body()))


def error_frame(message: str) -> bytes:
    """An error object where a stream should be."""
    return b"data: " + error_body(message, "server_error") + b"\n\n"


def whole(ask: Ask, name: str, created: int, answers: Sequence[Answer], spent: Spent) -> bytes:
    """The body of an answer that is not streamed."""
    choices = b",".join(_choice(ask, name, index, answer) for index, answer in enumerate(answers))
    head = _head(name, ask.endpoint, created, ask.model, is_chunk=False)
    extra = b'"prompt_logprobs":null,"kv_transfer_params":null'
    return b'{%b,"choices":[%b],"usage":%b,%b}' % (head, choices, msgspec.json.encode(spent.body()), extra)


def embeddings(ask: Ask, spent: Spent) -> bytes:
    """The body of an answer with vectors: unit length, drawn from the SHA-256 of each text."""
    data = []
    for index, text in enumerate(ask.texts):
        raw = hashlib.shake_256(text.content).digest(2 * ask.dimensions)
        vector = [value - 32767.5 for value in struct.unpack(f"<{ask.dimensions}H", raw)]
        length = sum(value * value for value in vector) ** 0.5
        vector = [value / length for value in vector]
        spelled = base64.b64encode(struct.pack(f"<{ask.dimensions}f", *vector)).decode() if ask.is_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": spelled})
    usage = {"prompt_tokens": spent.prompt_tokens, "total_tokens": spent.prompt_tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": ask.model, "usage": usage})


def models_body(model: str, created: int) -> bytes:
    """The list of models: one."""
    one = {"id": model, "object": "model", "created": created, "owned_by": OWNER, "max_model_len": 131_072}
    return msgspec.json.encode({"object": "list", "data": [one]})


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> bytes:
    """An error with OpenAI's four keys."""
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


def _choice(ask: Ask, name: str, index: int, answer: Answer) -> bytes:
    said = b'"%b"' % b"".join(answer.pieces(0, answer.tokens))
    reason = _string(answer.finish_reason)
    if ask.endpoint is Endpoint.COMPLETION:
        return b'{"index":%d,"text":%b,"logprobs":null,"finish_reason":%b}' % (index, said, reason)
    message = b'"content":%b,"refusal":null' % said
    if ask.tool is not None:
        call_id, tool = _string(f"call_{name[-12:]}{index}"), _string(ask.tool.name)
        call = b'{"id":%b,"type":"function","function":{"name":%b,"arguments":%b}}' % (call_id, tool, said)
        message = b'"content":null,"refusal":null,"tool_calls":[%b]' % call
    return b'{"index":%d,"message":{"role":"assistant",%b},"logprobs":null,"finish_reason":%b}' % (index, message, reason)


def _head(name: str, endpoint: Endpoint, created: int, model: str, is_chunk: bool) -> bytes:
    kind = endpoint.value + (".chunk" if is_chunk and endpoint is Endpoint.CHAT else "")
    parts = (_string(name), _string(kind), created, _string(model), _string(OWNER))
    return b'"id":%b,"object":%b,"created":%d,"model":%b,"system_fingerprint":%b' % parts


def _string(text: str) -> bytes:
    return msgspec.json.encode(text)
