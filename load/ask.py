"""What a simulated backend understands of a request: how much is asked, how long the answer is to be, in which form.

Fields that it does not know are accepted and ignored, as real servers do. Two body fields are its own, for load
harnesses, and unknown to real servers: `sim_prompt_tokens` and `sim_output_tokens`; the headers `x-sim-prompt-tokens`
and `x-sim-output-tokens` say the same where a gateway forwards them. Without, prompts have a token per 4 bytes of text.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

BYTES_PER_TOKEN = 4
BLOCK_BYTES = 512 * BYTES_PER_TOKEN
N_MAX = 128


class Endpoint(Enum):
    """What is asked for."""

    CHAT = "chat.completion"
    COMPLETION = "text_completion"
    EMBEDDING = "embedding"


class BadRequest(Exception):
    """The request is answered 400 (or `status`) with OpenAI's four keys."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.param, self.code, self.status = message, param, code, status


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model must call."""

    name: str
    schema: Any


@dataclass(frozen=True, slots=True)
class Text:
    """One prompt: its bytes (token ids as text) and its tokens."""

    content: bytes
    tokens: int

    def blocks(self) -> tuple[bytes, ...]:
        """Return chained digests of the whole blocks that it begins with: equal ones mark a shared prefix."""
        digest, found = hashlib.blake2b(digest_size=8), []
        for start in range(0, len(self.content) - BLOCK_BYTES + 1, BLOCK_BYTES):
            digest.update(self.content[start : start + BLOCK_BYTES])
            found.append(digest.digest())
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, understood."""

    endpoint: Endpoint
    model: str
    texts: tuple[Text, ...]
    """One for a chat; a completion or an embedding may bring several."""
    is_streamed: bool = False
    includes_usage: bool = False
    n: int = 1
    tokens_max: int | None = None
    output_tokens: int | None = None
    """What the harness dictates."""
    tool: Tool | None = None
    schema: Any = None
    """JSON Schema of the answer; None: plain text."""
    stop: tuple[str, ...] = ()
    dimensions: int = 16
    is_base64: bool = False


def read_ask(endpoint: Endpoint, body: bytes, headers: Mapping[str, str]) -> Ask:
    """Understand a request's body.

    Raises: BadRequest, as a real server would answer 400.
    """
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadRequest(f"We could not parse the JSON body of your request ({exc}).") from exc
    if not isinstance(asked, dict):
        raise BadRequest("The body of a request must be a JSON object.")
    if not isinstance(model := asked.get("model"), str):
        raise BadRequest("you must provide a model parameter", "model")
    told_prompt = _told("prompt", asked, headers)
    if endpoint is Endpoint.CHAT:
        texts: tuple[Text, ...] = (_text(_chat_text(asked.get("messages")), told_prompt),)
    else:
        name = "prompt" if endpoint is Endpoint.COMPLETION else "input"
        texts = tuple(_several(asked.get(name), name, told_prompt))
    options = asked.get("stream_options")
    stop = asked.get("stop")
    form = asked.get("response_format")
    return Ask(
        endpoint,
        model,
        texts,
        is_streamed=bool(asked.get("stream")) and endpoint is not Endpoint.EMBEDDING,
        includes_usage=isinstance(options, dict) and bool(options.get("include_usage")),
        n=_whole(asked, "n", N_MAX) or 1,
        tokens_max=_whole(asked, "max_completion_tokens") or _whole(asked, "max_tokens"),
        output_tokens=_told("output", asked, headers),
        tool=_forced_tool(asked),
        schema=_schema(form) if isinstance(form, dict) else None,
        stop=tuple(s for s in ([stop] if isinstance(stop, str) else stop if isinstance(stop, list) else ()) if isinstance(s, str) and s),
        dimensions=_whole(asked, "dimensions", 4096) or 16,
        is_base64=asked.get("encoding_format") == "base64",
    )


def _told(what: str, asked: Mapping[str, Any], headers: Mapping[str, str]) -> int | None:
    """Return the tokens that the harness dictates, of the prompt or of the output."""
    told = asked.get(f"sim_{what}_tokens", headers.get(f"x-sim-{what}-tokens"))
    try:
        return None if told is None else max(1, int(told))
    except (TypeError, ValueError) as exc:
        raise BadRequest(f"sim_{what}_tokens must be a number of tokens, not {told!r}", f"sim_{what}_tokens") from exc


def _whole(asked: Mapping[str, Any], name: str, most: int = 10**9) -> int | None:
    number = asked.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or int(number) != number or not 1 <= number <= most:
        raise BadRequest(f"'{name}' must be a whole number from 1 to {most}, not {number!r}", name)
    return int(number)


def _text(content: bytes, told: int | None) -> Text:
    return Text(content, told or max(1, round(len(content) / BYTES_PER_TOKEN)))


def _chat_text(messages: Any) -> bytes:
    """Return all text of a conversation: contents, text parts, arguments of tool calls."""
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list with at least one message", "messages")
    said: list[str] = []
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRequest(f"'messages[{at}]' must be an object", f"messages[{at}]")
        content = message.get("content")
        if isinstance(content, str):
            said.append(content)
        elif isinstance(content, list):
            said += [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        for call in message.get("tool_calls") or ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                said.append(function["arguments"])
    return "".join(said).encode()


def _several(given: Any, name: str, told: int | None) -> list[Text]:
    """Read a string, strings, token ids, or lists of token ids."""
    if isinstance(given, str):
        return [_text(given.encode(), told)]
    if isinstance(given, list) and given:
        if all(isinstance(item, str) for item in given):
            return [_text(item.encode(), told) for item in given]
        if all(isinstance(item, int) for item in given):
            return [Text(repr(given).encode(), told or len(given))]
        if all(isinstance(item, list) for item in given):
            return [Text(repr(item).encode(), told or max(1, len(item))) for item in given]
    raise BadRequest(f"'{name}' must be a string, strings, token ids or lists of token ids, and not empty", name)


def _forced_tool(asked: Mapping[str, Any]) -> Tool | None:
    """Return the tool that must be called: the named one, or the first when any is required."""
    choice, tools = asked.get("tool_choice"), asked.get("tools")
    functions = (
        [t["function"] for t in tools if isinstance(t, dict) and isinstance(t.get("function"), dict)] if isinstance(tools, list) else []
    )
    if choice == "required" and functions:
        return Tool(str(functions[0].get("name")), functions[0].get("parameters") or {"type": "object"})
    if isinstance(choice, dict) and isinstance(named := choice.get("function"), dict):
        for function in functions:
            if function.get("name") == named.get("name"):
                return Tool(str(named["name"]), function.get("parameters") or {"type": "object"})
        raise BadRequest(f"Tool choice {named.get('name')!r} is none of the tools.", "tool_choice")
    return None


def _schema(form: Mapping[str, Any]) -> Any:
    if form.get("type") == "json_object":
        return {"properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    if form.get("type") != "json_schema":
        return None
    named = form.get("json_schema")
    if not isinstance(named, dict) or "schema" not in named:
        raise BadRequest("'response_format.json_schema.schema' is missing", "response_format")
    return named["schema"]
