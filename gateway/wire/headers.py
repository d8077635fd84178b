"""Which headers cross the gateway, in each direction, and which are our own.

To a backend goes everything the client sent but what belongs to the client's connection, its credentials and its hints
for us. To the client goes what the backend sent but what belongs to the backend's connection or would speak for our host.
Header names are compared in lower case and passed in the spelling they came in; order and repetitions are kept.
"""

import math
from collections.abc import Sequence
from urllib.parse import quote

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.limit import LimitKind
from gateway.domain.value import Value

Headers = Sequence[tuple[str, str]]

REQUEST_ID = "x-request-id"
UPSTREAM_REQUEST_ID = "x-upstream-request-id"
CLIENT_REQUEST_ID = "x-client-request-id"

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    )
)
# The organization and project belong to the client's key; sent along with ours, OpenAI refuses the pair.
_CREDENTIALS = frozenset(("authorization", "x-api-key", "api-key", "cookie", "openai-organization", "openai-project"))
_NOT_FORWARDED = _HOP_BY_HOP | _CREDENTIALS | {"host", "content-length", "accept-encoding", "expect", REQUEST_ID}
_NOT_ENCODED = frozenset(("identity",))
_HINT_PREFIXES = ("x-sluice-", "x-slo-")
_RATE_PREFIX = "x-ratelimit-"
# What a backend says about its own host, its cookies and its challenges is not for our clients.
_NOT_RETURNED = _HOP_BY_HOP | {"date", "server", "set-cookie", "alt-svc", "strict-transport-security", "www-authenticate", "content-length"}
_ASCII = "".join(chr(code) for code in range(33, 127) if chr(code) != "%")
_VALUE_CHARS_MAX = 256


class Trace(Value, frozen=True):
    """What the client is told about the way of its request."""

    request_id: str
    model: str | None
    """The model that answered; None when none did."""
    reason: str
    """Why this model, or why none."""
    attempts: int
    overhead_s: float
    """Time that the gateway itself took."""
    client_request_id: str | None = None


class DebugTrace(Value, frozen=True):
    """More of it, for tenants with the right to debug; None is left out."""

    threshold: float | None
    win_rate: float | None
    backend: str | None
    cost_usd: float | None
    prices_version: int | None


class Kept(tuple[tuple[str, str], ...]):
    """What `kept` returned: headers of a client that go on to a backend, before ours are added."""

    __slots__ = ()


def kept(headers: Headers) -> Kept:
    """Return those of a client's headers that go on to a backend.

    Raises: GatewayError AMBIGUOUS_REQUEST for a line break or NUL in a header.
    """
    dropped = _with_named(_NOT_FORWARDED, headers)
    staying = []
    for pair in headers:
        low = pair[0].lower()
        if low not in dropped and not low.startswith(_HINT_PREFIXES):
            staying.append(pair)
    if is_broken("".join([part for pair in staying for part in pair])):
        raise GatewayError(Reason.AMBIGUOUS_REQUEST, "a header holds a line break or NUL")
    return Kept(staying)


def forwarded(headers: Headers, request_id: str) -> list[tuple[str, str]]:
    """Return the headers for a backend; the backend's own key is added by the edge that sends.

    `accept-encoding` becomes identity, since a compressed stream cannot be metered; `x-request-id` becomes ours.
    Raises: GatewayError AMBIGUOUS_REQUEST for a line break or NUL in a header.
    """
    staying = headers if type(headers) is Kept else kept(headers)  # Who sees the same headers often keeps what is kept of them.
    return [*staying, ("accept-encoding", "identity"), (REQUEST_ID, request_id)]


def returned(headers: Headers, is_body_changed: bool) -> list[tuple[str, str]]:
    """Return a backend's headers for the client; the length is told apart, to `ClientStream.start`.

    is_body_changed: the body was wrapped, aggregated or decoded; then its type and encoding are no longer what the backend
    said. The backend's request id goes by `x-upstream-request-id`; a broken header is left out.
    """
    dropped = _with_named(_NOT_RETURNED, headers)
    some_broken = is_broken("".join([part for pair in headers for part in pair]))
    staying = []
    for name, text in headers:
        low = name.lower()
        if low in dropped or low.startswith(_HINT_PREFIXES) or (some_broken and (is_broken(text) or is_broken(name))):
            continue
        if is_body_changed and low in ("content-encoding", "content-type", "etag", "content-md5", "digest"):
            continue
        staying.append((UPSTREAM_REQUEST_ID if low == REQUEST_ID else name, text))
    return staying


def own(trace: Trace, debug: DebugTrace | None = None) -> list[tuple[str, str]]:
    """Return our response headers; what is not printable ASCII is percent-encoded, so that no value can break a line."""
    told = [
        (REQUEST_ID, _safe(trace.request_id)),
        ("x-sluice-reason", _safe(trace.reason)),
        ("x-sluice-attempts", str(trace.attempts)),
        ("x-sluice-overhead-ms", f"{trace.overhead_s * 1000:.2f}"),
    ]
    if trace.model is not None:
        told.append(("x-sluice-model", _safe(trace.model)))
    if trace.client_request_id:
        told.append((CLIENT_REQUEST_ID, _safe(trace.client_request_id)))
    if debug is not None:
        numbers = (("threshold", debug.threshold, ".4f"), ("win-rate", debug.win_rate, ".4f"), ("cost-usd", debug.cost_usd, ".9f"))
        told += [(f"x-sluice-{name}", format(number, spec)) for name, number, spec in numbers if number is not None]
        if debug.backend is not None:
            told.append(("x-sluice-backend", _safe(debug.backend)))
        if debug.prices_version is not None:
            told.append(("x-sluice-prices-version", str(debug.prices_version)))
    return told


def rate_limits(standing: Sequence[tuple[LimitKind, int, int, float]]) -> list[tuple[str, str]]:
    """Return how a tenant's limits stand, in OpenAI's headers; dollars have none there.

    standing: kind, limit, what is left, seconds until it is whole again.
    """
    told = []
    for kind, limit, left, whole_s in standing:
        if kind is not LimitKind.USD:
            told += [
                (f"{_RATE_PREFIX}limit-{kind.value}", str(limit)),
                (f"{_RATE_PREFIX}remaining-{kind.value}", str(left)),
                (f"{_RATE_PREFIX}reset-{kind.value}", _duration(whole_s)),
            ]
    return told


def without_rate_limits(headers: Headers) -> list[tuple[str, str]]:
    """Return a backend's headers without its own limits, where the client is told of ours."""
    return [pair for pair in headers if not pair[0].lower().startswith(_RATE_PREFIX)]


def _duration(seconds: float) -> str:
    """Return seconds as OpenAI writes them: 20ms, 7.66s, 6m0s."""
    ms = math.ceil(seconds * 1000 - 1e-6)
    if ms < 1000:
        return f"{max(ms, 0)}ms"
    minutes, left_ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{left_ms / 1000:g}s"


def is_encoded(headers: Headers) -> bool:
    """Say whether a body is compressed."""
    encodings = [text.lower() for name, text in headers if len(name) == 16 and name.lower() == "content-encoding"]
    return not _NOT_ENCODED.issuperset(encodings)


def is_broken(text: str) -> bool:
    """Say whether a header's name or value holds what could end the line or the string."""
    return "\r" in text or "\n" in text or "\0" in text


def _with_named(names: frozenset[str], headers: Headers) -> frozenset[str]:
    """Add what `Connection` names: it belongs to the connection too."""
    named = [text for name, text in headers if len(name) == 10 and name.lower() == "connection"]
    return names.union([part.strip().lower() for text in named for part in text.split(",")]) if named else names


def _safe(text: str) -> str:
    short = text[:_VALUE_CHARS_MAX]
    if short.isascii() and short.isprintable():
        return short
    return quote(short, safe=_ASCII, errors="replace")
