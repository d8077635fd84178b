"""How things end: the closed list of reasons, and errors that say whose fault they are.

Every request ends in exactly one `Reason`; it is the metric label and the machine-readable `code` of our own
error bodies. `Fault` tells the availability SLI whether the event counts.
"""

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """Whose doing it was."""

    __hash__ = object.__hash__  # Members are singletons; Enum's own hash is a Python function, called at every look-up (0.3 us).

    NOBODY = "nobody"
    CLIENT = "client"
    BACKEND = "backend"
    US = "us"


@dataclass(frozen=True, slots=True)
class Ending:
    """What a reason means: HTTP status, OpenAI error type, fault, and whether a retry can help."""

    status: int
    type: str
    fault: Fault
    retry: str
    """For humans, in the page of error codes: "no", or how."""


_REQUEST, _AUTH, _RIGHT, _FOUND = "invalid_request_error", "authentication_error", "permission_error", "not_found_error"
_RATE, _SERVER, _OVERLOAD = "rate_limit_error", "server_error", "overloaded_error"
_FIX, _LATER = "no: correct the request", "yes, after Retry-After"


class Reason(Enum):
    """Every way in which a request can end. The value is the label in metrics, logs and error bodies."""

    __hash__ = object.__hash__  # As `Fault`'s.

    def __init__(self, label: str) -> None:
        self.label = label
        """The value, without the call of a property that `value` is."""

    SERVED = "served"
    UPSTREAM_REFUSED = "upstream_refused"
    CLIENT_CANCELLED = "client_cancelled"
    BAD_REQUEST = "invalid_request"
    BAD_JSON = "invalid_json"
    AMBIGUOUS_REQUEST = "ambiguous_request"
    MISSING_KEY = "missing_api_key"
    UNKNOWN_KEY = "invalid_api_key"
    NOT_ALLOWED = "not_allowed"
    UNKNOWN_MODEL = "model_not_found"
    UNKNOWN_PATH = "unknown_path"
    WRONG_METHOD = "method_not_allowed"
    SLOW_REQUEST = "request_timeout"
    BODY_TOO_LARGE = "body_too_large"
    HEADERS_TOO_LARGE = "headers_too_large"
    CONTEXT_TOO_LONG = "context_length_exceeded"
    LIMIT_REQUESTS = "limit_requests"
    LIMIT_TOKENS = "limit_tokens"
    LIMIT_USD = "limit_usd"
    LIMIT_STREAMS = "limit_streams"
    SHED_OVERLOAD = "shed_overload"
    SHED_DEADLINE = "shed_deadline"
    NO_BACKEND = "no_backend"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_AUTH = "upstream_auth"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_TIMEOUT_CONNECT = "upstream_timeout_connect"
    UPSTREAM_TIMEOUT_TTFT = "upstream_timeout_ttft"
    UPSTREAM_TIMEOUT_IDLE = "upstream_timeout_idle"
    UPSTREAM_TIMEOUT_TOTAL = "upstream_timeout_total"
    UPSTREAM_CUT = "upstream_cut"
    UPSTREAM_BAD_ANSWER = "upstream_bad_answer"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal_error"

    @property
    def ending(self) -> Ending:
        """What this reason means to clients and SLIs."""
        return ENDINGS[self]


ENDINGS: dict[Reason, Ending] = {
    Reason.SERVED: Ending(200, "", Fault.NOBODY, "not needed"),
    Reason.UPSTREAM_REFUSED: Ending(400, _REQUEST, Fault.CLIENT, "no: the backend's own error object says what to change"),
    Reason.CLIENT_CANCELLED: Ending(499, _REQUEST, Fault.CLIENT, "not needed: the client left"),
    Reason.BAD_REQUEST: Ending(400, _REQUEST, Fault.CLIENT, _FIX),
    Reason.BAD_JSON: Ending(400, _REQUEST, Fault.CLIENT, _FIX),
    Reason.AMBIGUOUS_REQUEST: Ending(400, _REQUEST, Fault.CLIENT, "no: two parsers could read it differently; the connection is closed"),
    Reason.MISSING_KEY: Ending(401, _AUTH, Fault.CLIENT, "no: send Authorization: Bearer KEY"),
    Reason.UNKNOWN_KEY: Ending(401, _AUTH, Fault.CLIENT, "no: ask the operator for a key"),
    Reason.NOT_ALLOWED: Ending(403, _RIGHT, Fault.CLIENT, "no: ask the operator for the right"),
    Reason.UNKNOWN_MODEL: Ending(404, _FOUND, Fault.CLIENT, "no: use one of the names in the message"),
    Reason.UNKNOWN_PATH: Ending(404, _FOUND, Fault.CLIENT, _FIX),
    Reason.WRONG_METHOD: Ending(405, _REQUEST, Fault.CLIENT, _FIX),
    Reason.SLOW_REQUEST: Ending(408, _REQUEST, Fault.CLIENT, "yes: send the whole request within the time limit"),
    Reason.BODY_TOO_LARGE: Ending(413, _REQUEST, Fault.CLIENT, _FIX),
    Reason.HEADERS_TOO_LARGE: Ending(431, _REQUEST, Fault.CLIENT, _FIX),
    Reason.CONTEXT_TOO_LONG: Ending(400, _REQUEST, Fault.CLIENT, _FIX),
    Reason.LIMIT_REQUESTS: Ending(429, _RATE, Fault.CLIENT, _LATER),
    Reason.LIMIT_TOKENS: Ending(429, _RATE, Fault.CLIENT, _LATER),
    Reason.LIMIT_USD: Ending(429, _RATE, Fault.CLIENT, _LATER),
    Reason.LIMIT_STREAMS: Ending(429, _RATE, Fault.CLIENT, _LATER),
    Reason.SHED_OVERLOAD: Ending(503, _OVERLOAD, Fault.US, "yes, after Retry-After; SDK retries are off (x-should-retry: false)"),
    Reason.SHED_DEADLINE: Ending(503, _OVERLOAD, Fault.US, "yes, after Retry-After; SDK retries are off (x-should-retry: false)"),
    Reason.NO_BACKEND: Ending(503, _OVERLOAD, Fault.BACKEND, _LATER),
    Reason.UPSTREAM_UNREACHABLE: Ending(502, _SERVER, Fault.BACKEND, "yes"),
    Reason.UPSTREAM_AUTH: Ending(502, _SERVER, Fault.US, "no: the operator must mend the backend's key"),
    Reason.UPSTREAM_ERROR: Ending(502, _SERVER, Fault.BACKEND, "yes"),
    Reason.UPSTREAM_RATE_LIMITED: Ending(429, _RATE, Fault.BACKEND, _LATER),
    Reason.UPSTREAM_TIMEOUT_CONNECT: Ending(504, _SERVER, Fault.BACKEND, "yes"),
    Reason.UPSTREAM_TIMEOUT_TTFT: Ending(504, _SERVER, Fault.BACKEND, "yes"),
    Reason.UPSTREAM_TIMEOUT_IDLE: Ending(504, _SERVER, Fault.BACKEND, "yes; what was received before is incomplete"),
    Reason.UPSTREAM_TIMEOUT_TOTAL: Ending(504, _SERVER, Fault.BACKEND, "yes; what was received before is incomplete"),
    Reason.UPSTREAM_CUT: Ending(502, _SERVER, Fault.BACKEND, "yes; what was received before is incomplete"),
    Reason.UPSTREAM_BAD_ANSWER: Ending(502, _SERVER, Fault.BACKEND, "yes"),
    Reason.SHUTTING_DOWN: Ending(503, _OVERLOAD, Fault.US, "yes: another replica answers"),
    Reason.INTERNAL: Ending(500, _SERVER, Fault.US, "yes; report it with the request id"),
}


SERVED, UPSTREAM_REFUSED, CLIENT_CANCELLED = Reason.SERVED, Reason.UPSTREAM_REFUSED, Reason.CLIENT_CANCELLED
"""What every request is compared with, several times: to find a member in its class takes 0.07 us, a name of the module nothing."""
BACKEND_FAULTS = frozenset(reason for reason, ending in ENDINGS.items() if ending.fault is Fault.BACKEND)
"""Endings that speak against a backend."""
REFUSALS = frozenset({400, 404, 413, 415, 422})
"""Statuses by which a backend says that the request is at fault; any other 4xx is its own trouble, or ours with it."""


class GatewayError(Exception):
    """An answer that is not a model's: says why, which parameter, and when to come back."""

    def __init__(self, reason: Reason, message: str, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
