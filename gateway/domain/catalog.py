"""What the operator offers: models, their backends and tariffs, routes, classes, tenants.

Frozen and built once per config version; names are unique inside their kind (the config edge checks).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

MTOK = 1_000_000


class Secret(str):
    """A string that does not show itself in logs, reprs or error texts; `str.__str__(secret)` gives it away."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"

    def reveal(self) -> str:
        """Return the plain text, for the one place that puts it on the wire."""
        return str.__str__(self)


@dataclass(frozen=True, slots=True)
class Tariff:
    """Dollars per million tokens. A missing cached price means that cached input costs as much as fresh input."""

    input_usd_per_mtok: float
    output_usd_per_mtok: float
    cached_input_usd_per_mtok: float | None = None

    def usd(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0) -> float:
        """Return the dollars of one call; `cached_tokens` are part of `prompt_tokens`."""
        if not cached_tokens:
            return (prompt_tokens * self.input_usd_per_mtok + completion_tokens * self.output_usd_per_mtok) / MTOK
        cached_usd = self.input_usd_per_mtok if self.cached_input_usd_per_mtok is None else self.cached_input_usd_per_mtok
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.input_usd_per_mtok + cached_tokens * cached_usd + completion_tokens * self.output_usd_per_mtok) / MTOK


@dataclass(frozen=True, slots=True)
class Backend:
    """One server that answers for a model."""

    id: str
    """Stable name for logs, metrics and state: `<model>@<host:port>` unless the operator named it."""
    url: str
    """Base address including the version, for example `http://gpu-1:8000/v1`; no trailing slash."""
    model: str
    """The model's name in that server's own words."""
    engine: str = "openai"
    """Engine family: openai (a hosted API), vllm, sglang, llamacpp."""
    api_key: Secret | None = field(default=None, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    is_self_hosted: bool = False
    """True for engines whose queue we should bound; a hosted API queues on its own side."""
    pending_tokens_max: int = 4096
    """Bound on un-prefilled prompt tokens sent to a self-hosted engine; one request is always admitted."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the operator names it."""

    name: str
    tariff: Tariff
    context_tokens: int
    backends: tuple[Backend, ...]
    downgrade: bool = False
    """Whether a request that names this model may be sent to a cheaper one of `downgrade_to`."""
    downgrade_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrafficClass:
    """Requests of equal worth: `value` relative to other classes, and how long a first token may take."""

    name: str
    value: float
    ttft_deadline_s: float
    rank: int
    """0 is the most valuable; sheds start at the highest rank."""
    exempts_sheds: bool = False
    """Own sheds of this class are not availability events, by contract with its users."""


@dataclass(frozen=True, slots=True)
class Router:
    """Which learned router scores a route, and the strong share assumed when it cannot be used."""

    artifact: str
    fallback_strong_share: float
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A name that clients use, and the models behind it, best first."""

    name: str
    models: tuple[str, ...]
    router: Router


class Right(Enum):
    """What a tenant may do that could buy its way out of a budget; all off by default."""

    __hash__ = object.__hash__  # As `errors.Fault`'s.

    THRESHOLD = "threshold"
    CHOOSE_MODEL = "choose_model"
    RAISE_CLASS = "raise_class"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of a tenant, of one of its keys, or of its use of one model; None is no limit."""

    rpm: int | None = None
    tpm: int | None = None
    usd_per_day: float | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """Somebody with keys (SHA-256 hex digests), a class and rights."""

    name: str
    key_digests: tuple[str, ...]
    klass: str
    limits: Limits = Limits()
    may: frozenset[Right] = frozenset()
    key_limits: Mapping[str, Limits] = field(default_factory=dict)
    """By key digest: limits of single keys, within those of the tenant."""
    model_limits: Mapping[str, Limits] = field(default_factory=dict)
    """By model name: limits of what the tenant has of a model."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything on offer, by name; insertion order is the operator's order (models: best first)."""

    models: Mapping[str, Model]
    routes: Mapping[str, Route]
    classes: Mapping[str, TrafficClass]
    tenants: Mapping[str, Tenant]
    open_tenant: str | None = None
    """The tenant of requests without a key; None unless `auth: none` is written out."""
