"""What is known about a request before anything is decided."""

from enum import Enum

from gateway.domain.catalog import Model, TrafficClass
from gateway.domain.value import Value


class Endpoint(Enum):
    """The calls that are placed on models. Only chat and completions may be answered by another model."""

    __hash__ = object.__hash__  # As `errors.Fault`'s.

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"

    def __init__(self, label: str) -> None:
        self.label = label
        """As `errors.Reason`'s."""


CHAT, COMPLETIONS, EMBEDDINGS = Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS
"""As `errors.SERVED`."""


class RequestFacts(Value, frozen=True):
    """One request in the core's words. Token counts are estimates until the backend reports usage."""

    request_id: str
    endpoint: Endpoint
    tenant: str
    klass: TrafficClass
    route: str
    """Route name, or the model's own name when the client named a model."""
    candidates: tuple[Model, ...]
    """Models that may answer, best first; one when nothing may be switched."""
    prompt_tokens: int
    tokens_max: int | None
    """The client's own limit on the answer's tokens."""
    is_streaming: bool
    arrived_s: float
    """Monotonic time at which the request was fully read."""
    draws: tuple[float, float]
    """Two draws in [0, 1): soft edge (keyed, by tenant and conversation, hence also the conversation's name) and probes (by request)."""
    client_threshold: float | None = None
    may_set_threshold: bool = False
    named: str | None = None
    """The model that the client asked for by name; None for a route."""
    prompt_bytes: int = 0
    """Bytes of all message text, from which tokens per byte are learned; 0: unknown."""
    key: str | None = None
    """Digest of the client's key where that key has limits of its own."""
    expected_usd: tuple[float, ...] | None = None
    """Dollars per candidate when the caller knows better than the estimator (a replayed world)."""
    turns: int = 1
    """Messages of the user so far; from 2 on it is a later turn of a conversation."""


class Talk(Value, frozen=True):
    """What surrounds the question that is scored, for routers that were trained on conversations. All sizes are characters of text."""

    turns: int = 1
    """Messages of the user; 1 for completions."""
    context_characters: int = 0
    """Of all other text but system prompts: earlier questions, answers, results of tools."""
    system_characters: int = 0
    """Of system and developer prompts."""
    has_tools: bool = False
    """Whether tools or functions are offered."""
    tokens_max: int | None = None
    """The client's own limit on the answer's tokens."""
