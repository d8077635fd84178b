"""What is on offer, as operators write it: models, their backends and tariffs, routes and their routers.

The docstrings are the reference text. `problems` says what is wrong within one item; what is wrong between items is in
`crosscheck.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from gateway.config.errors import Problem
from gateway.config.names import DIGEST, name_problems
from gateway.config.references import quoted
from gateway.domain.catalog import Secret
from gateway.domain.units import Count, Ratio


@dataclass(frozen=True, slots=True)
class TariffSection:
    """What a model costs, in dollars per million tokens; 0 is free."""

    input_usd_per_mtok: float
    """Prompt tokens."""
    output_usd_per_mtok: float
    """Completion tokens."""
    cached_input_usd_per_mtok: float | None = None
    """Prompt tokens that the backend had cached; none: as much as fresh ones."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        for key in ("input_usd_per_mtok", "output_usd_per_mtok", "cached_input_usd_per_mtok"):
            if (getattr(self, key) or 0) < 0:
                yield Problem((key,), "a price must not be negative")


@dataclass(frozen=True, slots=True)
class BackendSection:
    """One server that answers for a model."""

    url: str
    """Base address with the version, for example `http://gpu-1:8000/v1`."""
    model: str
    """The model's name in that server's own words."""
    engine: Literal["openai", "vllm", "sglang", "llamacpp"] = "openai"
    """Family of the server: `openai` is a hosted API, the others are engines whose load and health are read."""
    api_key: Secret | None = field(default=None, repr=False)
    """Sent as bearer key; write a reference, `${NAME}` or `${file:/run/secrets/name}`."""
    name: str | None = None
    """Name in logs, metrics and state; none: `<model>@<host:port>`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Words of your own, for example `{region: eu}`; shown, not acted on."""
    self_hosted: bool | None = None
    """Whether its queue is bounded by us; none: true for engines, false for `openai`, which queues on its own side."""
    pending_tokens_max: Count = 4096
    """Bound on prompt tokens that wait for their prefill on a self-hosted engine; raising it fills batches and lengthens TTFT."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        if why := _url_problem(self.url):
            yield Problem(("url",), why)
        if self.name is not None:
            yield from name_problems(self.name)
        if not self.model:
            yield Problem(("model",), "the model's name on the backend is empty")

    @property
    def address(self) -> str:
        """`host:port` of a url without problems."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


@dataclass(frozen=True, slots=True)
class ModelSection:
    """A model on offer; the list is ordered, best first."""

    name: str
    """The name that routes use, and clients whose tenant may `choose_model`."""
    tariff: TariffSection
    """What it costs."""
    context_tokens: Count
    """Prompt and completion together; a longer request is never sent to it."""
    backends: tuple[BackendSection, ...]
    """Servers that answer for it; each request goes to the one with the least predicted wait."""
    downgrade: bool = False
    """Whether a request that names this model may be answered by a cheaper one while budgets are scarce."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        yield from name_problems(self.name)
        yield from below("tariff", self.tariff.problems())
        for i, backend in enumerate(self.backends):
            for problem in backend.problems():
                yield Problem(("backends", i, *problem.path), problem.message)
        if not self.backends:
            yield Problem(("backends",), "a model needs at least one backend")


@dataclass(frozen=True, slots=True)
class RouterSection:
    """The learned router of a route."""

    artifact: str = "builtin"
    """`builtin`, `length`, `constant`, or the folder of a trained artifact."""
    sha256: str | None = None
    """Digest of the artifact; another one is refused. None: whatever lies there is taken."""
    fallback_strong_share: Ratio = 0.35
    """Share of requests for the first model while the artifact cannot be used and no price is known."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        if self.sha256 is not None and not DIGEST.match(self.sha256):
            yield Problem(("sha256",), "not a SHA-256 digest (64 hexadecimal digits)")
        if not self.artifact:
            yield Problem(("artifact",), "empty; write builtin, length, constant or a folder")


@dataclass(frozen=True, slots=True)
class RouteSection:
    """A name that clients use as `model`, and the models behind it."""

    name: str
    """What clients send as `model`, for example `auto`."""
    models: tuple[str, ...]
    """Names of models, best first."""
    router: RouterSection = field(default_factory=RouterSection)
    """Predicts for every prompt how much the better model would help."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        yield from name_problems(self.name)
        yield from below("router", self.router.problems())
        if not self.models:
            yield Problem(("models",), "a route needs at least one model")
        for i, model in enumerate(self.models):
            if model in self.models[:i]:
                yield Problem(("models", i), f"{quoted(model)} stands here twice")


def below(key: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    """Yield problems of a part with their path from the whole."""
    for problem in problems:
        yield Problem((key, *problem.path), problem.message)


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port_ok = parts.port != 0
    except ValueError:
        return f"{quoted(url)} is not a url; its port or host cannot be read"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_ok:
        return f"{quoted(url)} is not a url; write for example http://gpu-1:8000/v1"
    if parts.username is not None or parts.password is not None:
        return "a url must not carry credentials; write them as api_key"
    if parts.query or parts.fragment:
        return "a base url has neither query nor fragment"
    return "white space in a url" if any(c.isspace() for c in url) else None
