"""How a refusal is said: the only place that turns an error or a shed into status, headers and body.

Bodies of our own have OpenAI's four keys, all of them, and the reason as `code`. What a backend said is passed on byte for
byte when it is an error object, wrapped otherwise, and kept back when it may tell the backend's key.
"""

import math

import msgspec

from gateway.domain.decision import Shed
from gateway.domain.errors import ENDINGS, GatewayError, Reason
from gateway.domain.value import Value

SDK_WAIT_S_MAX = 60.0
"""OpenAI's SDKs obey no longer wait than this and would come back far too early, so they are told not to."""

JSON = ("content-type", "application/json")
_QUOTED_CHARS_MAX = 500
_WAITING = frozenset((429, 503))
_CLOSING = frozenset((Reason.AMBIGUOUS_REQUEST, Reason.SLOW_REQUEST, Reason.HEADERS_TOO_LARGE, Reason.BODY_TOO_LARGE))
_OWN_SHEDS = frozenset((Reason.SHED_OVERLOAD, Reason.SHED_DEADLINE))
_encode = msgspec.json.Encoder().encode


class Refusal(Value, frozen=True):
    """What is sent instead of an answer."""

    status: int
    headers: list[tuple[str, str]]
    """Without content-length and request id."""
    body: bytes
    must_close: bool = False
    """Whether the connection cannot be used again: what follows on it cannot be trusted."""


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str


class _Body(msgspec.Struct):
    error: _Error


class _UpstreamError(msgspec.Struct):
    message: str


class _UpstreamBody(msgspec.Struct):
    error: _UpstreamError


class _OtherBody(msgspec.Struct):
    """Texts of errors in other shapes: Ollama and TGI, FastAPI, older vLLM."""

    error: str | None = None
    detail: str | None = None
    message: str | None = None


_decode_upstream = msgspec.json.Decoder(_UpstreamBody).decode
_decode_other = msgspec.json.Decoder(_OtherBody).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def refusal(why: GatewayError | Shed) -> Refusal:
    """Say a refusal of our own."""
    reason = why.reason
    ending = ENDINGS[reason]
    headers = [JSON]
    retry_after_s = why.retry_after_s
    if ending.status in _WAITING:
        headers += _wait(retry_after_s)
    is_final = ending.retry.startswith("no") or reason in _OWN_SHEDS
    if is_final or (retry_after_s is not None and retry_after_s > SDK_WAIT_S_MAX):
        headers.append(("x-should-retry", "false"))
    if ending.status == 401:
        headers.append(("www-authenticate", 'Bearer error="invalid_token"' if reason is Reason.UNKNOWN_KEY else "Bearer"))
    return Refusal(ending.status, headers, error_body(reason, why.message, why.param), reason in _CLOSING)


def error_body(reason: Reason, message: str, param: str | None = None) -> bytes:
    """Return the JSON of an error with OpenAI's four keys; `code` is the reason."""
    text = message.encode("utf-8", "replace").decode()  # half surrogates cannot be sent
    return _encode(_Body(_Error(text, ENDINGS[reason].type, param, reason.value)))


def terminal_event(reason: Reason, message: str) -> bytes:
    """Return the event that ends a stream which cannot go on; after it comes nothing, no [DONE] either."""
    return b"data: " + error_body(reason, message) + b"\n\n"


def upstream_body(status: int, body: bytes, content_type: str, retry_after_s: float | None = None) -> Refusal:
    """Say what a backend's error answer becomes for the client.

    - 401, 403, 407: our key is wrong, not the client's: 502 `upstream_auth`, without a word of the body, which often quotes the key.
    - Below 400: no answer that we can use: 502 `upstream_bad_answer`.
    - A JSON object whose `error` is an object with a `message`: the same status and bytes, even if keys are missing.
    - Anything else: the same status, our shape, code `upstream_error`, with the text if it is JSON or plain text.

    retry_after_s: what the backend asked for; 429 and 503 get a Retry-After in any case. The headers returned are all that
    the client needs; the backend's other headers may be added (`headers.returned`).
    """
    if status in (401, 403, 407):
        return refusal(GatewayError(Reason.UPSTREAM_AUTH, f"the backend did not accept the gateway's credentials (HTTP {status})"))
    if status < 400:
        return refusal(GatewayError(Reason.UPSTREAM_BAD_ANSWER, f"the backend answered with HTTP {status}, which is no answer"))
    waits = _wait(retry_after_s) if status in _WAITING else []
    try:
        _decode_upstream(body)
    except _UNREADABLE:
        pass
    else:
        return Refusal(status, [("content-type", content_type or "application/json"), *waits], body)
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    said = _quoted(body, content_type)
    message = f"the backend answered with HTTP {status}" + (f": {said}" if said else " and no error object")
    return Refusal(status, [JSON, *waits], _encode(_Body(_Error(message, kind, None, Reason.UPSTREAM_ERROR.value))))


def _wait(retry_after_s: float | None) -> list[tuple[str, str]]:
    wait_s = max(0.001, 1.0 if retry_after_s is None else retry_after_s)
    return [("retry-after", str(max(1, math.ceil(wait_s)))), ("retry-after-ms", str(math.ceil(wait_s * 1000)))]


def _quoted(body: bytes, content_type: str) -> str:
    try:
        other = _decode_other(body)
    except _UNREADABLE:
        is_plain = content_type.partition(";")[0].strip().lower() == "text/plain"
        said = body[: 4 * _QUOTED_CHARS_MAX].decode("utf-8", "replace") if is_plain else ""
    else:
        said = other.error or other.detail or other.message or ""
    return " ".join(said.split())[:_QUOTED_CHARS_MAX]
