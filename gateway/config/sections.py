"""The sections of a configuration as operators write them; their docstrings are the reference text.

One key = one field (a trailing underscore stands for a Python keyword). Sections that one room reads alone are that
room's Options; the ones here need names of each other, or look different in the file than in the code. `problems` says
what is wrong within one item; what is wrong between items is in `crosscheck.py`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from gateway.config.errors import Problem, meant
from gateway.config.quantities import read_duration
from gateway.config.references import quoted
from gateway.core.budget.slis.registry import SLIS
from gateway.core.pricing.laws.registry import LAWS
from gateway.domain.catalog import Secret
from gateway.domain.units import Count, Ratio, Seconds, Usd
from gateway.edges.server.options import AdminOptions, ServerOptions
from gateway.edges.store.options import StoreOptions
from gateway.edges.telemetry.options import DecisionLogOptions
from gateway.edges.upstream.options import UpstreamOptions

CALENDAR = {"calendar-hour": 3600.0, "calendar-day": 86_400.0, "calendar-week": 604_800.0, "calendar-month": 28 * 86_400.0}
"""Calendar periods and their shortest length in seconds, daylight saving time aside."""
WINDOW_S_MAX = 31 * 86_400.0
"""The store keeps 745 slots of an hour: 31 days and the hour that is filling."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,99}\Z")
_ROUTER_NAME = re.compile(r"router-.+-[0-9.]+\Z")
_DIGEST = re.compile(r"(sha256:)?[0-9a-fA-F]{64}\Z")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A plugin by its kind, with its own options built."""

    kind: str
    options: Any


@dataclass(frozen=True, slots=True)
class Kinds:
    """Marks a field that takes one of the plugins of a registry: `kind` and the plugin's own options."""

    registry: Mapping[str, Any]

    def options(self, kind: str) -> type[Any]:
        """Return the plugin's `Options` dataclass."""
        found: type[Any] = self.registry[kind].Options
        return found

    def default(self, kind: str) -> Chosen:
        """Return a plugin with all of its defaults."""
        return Chosen(kind, self.options(kind)())

    def __hash__(self) -> int:
        return id(self.registry)


SLI_KINDS, LAW_KINDS = Kinds(SLIS), Kinds(LAWS)


def name_problems(name: str) -> Iterator[Problem]:
    """Yield what is wrong with a name; names become header values, metric labels and parts of store keys."""
    if not _NAME.match(name):
        yield Problem(
            ("name",), f"{quoted(name)} is no name; use letters, digits and . _ - / : @, beginning with a letter or digit, at most 100"
        )
    elif _ROUTER_NAME.match(name):
        yield Problem(("name",), f"{quoted(name)} reads like `router-<name>-<threshold>`, which clients use for a threshold of their own")


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
        yield from _below("tariff", self.tariff.problems())
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
        if self.sha256 is not None and not _DIGEST.match(self.sha256):
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
        yield from _below("router", self.router.problems())
        if not self.models:
            yield Problem(("models",), "a route needs at least one model")
        for i, model in enumerate(self.models):
            if model in self.models[:i]:
                yield Problem(("models", i), f"{quoted(model)} stands here twice")


@dataclass(frozen=True, slots=True)
class ScopeSection:
    """Which requests an SLO is about."""

    route: str
    """Only requests of this route."""


@dataclass(frozen=True, slots=True)
class SloSection:
    """A budget: an indicator, how much of it must be good (or how many dollars there are), and over which time."""

    name: str
    """Name in prices, metrics and `priority`. Name and `sli` are its identity: changing them starts it as "no data"."""
    sli: Annotated[Chosen, SLI_KINDS]
    """The indicator: `kind`, and that kind's own keys."""
    objective: Ratio | None = None
    """Share of good events, between 0 and 1 (0.999: one in a thousand may be bad); not for cost."""
    window: Seconds | None = None
    """Rolling window, at most 31d; write either this or `period`."""
    period: str | None = None
    """The budget starts anew at each boundary: calendar-hour, calendar-day, calendar-week, calendar-month, or a duration."""
    anchor: str | None = None
    """For a period that is a duration: some boundary, for example `2026-01-01T00:00:00Z`; none: the Unix epoch."""
    timezone: str | None = None
    """For a calendar period: name of the time zone; none: UTC."""
    for_: ScopeSection | None = None
    """Only some requests; none: all of them."""
    on_exhausted: Literal["cheapest", "alert"] | None = None
    """For cost, once the period's dollars are spent: send everything to the cheapest model (none: this), or only say so."""

    @property
    def length_s(self) -> float | None:
        """Length of the window, or the shortest one of the period; None while neither can be read."""
        if self.window is not None or self.period is None:
            return self.window
        try:
            return CALENDAR.get(self.period) or read_duration(self.period)
        except ValueError:
            return None

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        yield from name_problems(self.name)
        if self.sli.kind == "cost":
            if self.objective is not None:
                yield Problem(("objective",), "a cost SLO has no objective; its budget is sli.usd")
        elif self.objective is None:
            yield Problem(("objective",), f"missing; an SLO of kind {self.sli.kind} needs a share of good events, for example 0.99")
        elif self.objective in {0, 1}:
            yield Problem(
                ("objective",),
                f"{self.objective:g} leaves {'no budget' if self.objective else 'nothing to keep'}; write a number between 0 and 1",
            )
        if self.on_exhausted is not None and self.sli.kind != "cost":
            yield Problem(("on_exhausted",), "only a cost SLO can be exhausted")
        yield from self._time_problems()

    def _time_problems(self) -> Iterator[Problem]:
        is_calendar = self.period in CALENDAR
        if (self.window is None) == (self.period is None):
            yield Problem(
                ("window",) if self.window else (),
                "write either `window` (rolling, for example 28d) or `period` (for example calendar-month)",
            )
        elif self.period is not None and not is_calendar:
            try:
                read_duration(self.period)
            except ValueError:
                what = meant(self.period, CALENDAR, "periods")
                yield Problem(("period",), f"{quoted(self.period)} is neither a calendar period nor a duration; {what}")
        if (self.length_s or 0) > WINDOW_S_MAX:
            yield Problem(("window",) if self.window else ("period",), "longer than 31d, for which counts are kept")
        if self.anchor is not None:
            if is_calendar or self.period is None:
                yield Problem(("anchor",), "only for a period that is a duration")
            elif parse_time(self.anchor) is None:
                yield Problem(("anchor",), f"{quoted(self.anchor)} is not a time; write for example 2026-01-01T00:00:00Z")
        if self.timezone is not None:
            if not is_calendar:
                yield Problem(("timezone",), "only for a calendar period")
            elif not _is_zone(self.timezone):
                yield Problem(("timezone",), f"{quoted(self.timezone)} is not a known time zone; write for example UTC or Europe/Berlin")


@dataclass(frozen=True, slots=True)
class PricingSection:
    """How scarcity is priced."""

    law: Annotated[Chosen, LAW_KINDS] = field(default_factory=lambda: LAW_KINDS.default("shadow_price"))
    """The law: its kind, or `kind` and that kind's own keys."""
    priority: tuple[str, ...] | None = None
    """Every SLO, most important first; none: as they stand in `slos`. What cannot all be met is met in this order."""
    tick: Seconds = 5.0
    """How often budgets are judged and priced."""


@dataclass(frozen=True, slots=True)
class ClassSection:
    """Requests of equal worth."""

    name: str
    """Name in `tenants` and metrics."""
    value: float
    """Worth of a good answer, relative to other classes; twice the value bears twice the price."""
    ttft_deadline: Seconds
    """How long a client of this class waits for its first token; a request that cannot make it is refused, not queued."""
    exempts_sheds: bool = False
    """Our own refusals of this class are no bad availability events, by contract with its users."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        yield from name_problems(self.name)
        if self.value <= 0:
            yield Problem(("value",), "a class's value must be more than 0")


DEFAULT_CLASS = ClassSection("standard", 1.0, 30.0)
"""What requests are worth where no classes are written: all the same."""


@dataclass(frozen=True, slots=True)
class LimitsSection:
    """Hard limits of one tenant; none is no limit."""

    rpm: Count | None = None
    """Requests per minute."""
    tpm: Count | None = None
    """Tokens per minute, prompt and completion."""
    usd_per_day: Usd | None = None
    """Dollars per day (UTC)."""


@dataclass(frozen=True, slots=True)
class TenantSection:
    """Somebody who asks. With `auth: none`, the tenant called `open` is everybody without a key."""

    name: str
    """Name in metrics and logs."""
    keys: tuple[str, ...] = field(default=(), repr=False)
    """Digests of its keys, `sha256:<64 hexadecimal digits>`; `sluice keys` makes a key and its digest."""
    class_: str = "standard"
    """Class of its requests."""
    limits: LimitsSection = field(default_factory=LimitsSection)
    """What it may use at most."""
    may: tuple[Literal["threshold", "choose_model", "raise_class", "debug"], ...] = ()
    """Rights with which a client could buy its way out of a budget, and `debug` headers; all off."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it; a key that stands in the file is not repeated."""
        yield from name_problems(self.name)
        for i, key in enumerate(self.keys):
            if not (_DIGEST.match(key) and key.startswith("sha256:")):
                yield Problem(("keys", i), "not a digest; keys are kept as `sha256:<64 hexadecimal digits>`: `sluice keys` makes one")


@dataclass(frozen=True, slots=True)
class Sections:
    """Configuration of the Sluice gateway."""

    models: tuple[ModelSection, ...]
    """Models on offer, best first."""
    routes: tuple[RouteSection, ...]
    """Names that clients use, and the models behind them."""
    mode: Literal["observe", "enforce"] = "enforce"
    """`observe` computes prices and decisions and logs them, but sends every request to the first model that can take it."""
    auth: Literal["keys", "none"] = "keys"
    """`keys`: every request needs a tenant's key. `none`: requests without one are taken too, as tenant `open`."""
    server: ServerOptions = field(default_factory=ServerOptions)
    """The data port."""
    admin: AdminOptions = field(default_factory=AdminOptions)
    """The admin port: page, state and metrics."""
    store: StoreOptions = field(default_factory=StoreOptions)
    """Where budgets are counted."""
    slos: tuple[SloSection, ...] = ()
    """Budgets: at most 200."""
    pricing: PricingSection = field(default_factory=PricingSection)
    """How scarce budgets move the traffic."""
    classes: tuple[ClassSection, ...] = (DEFAULT_CLASS,)
    """What requests are worth."""
    tenants: tuple[TenantSection, ...] = ()
    """Who may ask."""
    upstream: UpstreamOptions = field(default_factory=UpstreamOptions)
    """Patience with backends."""
    decision_log: DecisionLogOptions = field(default_factory=DecisionLogOptions)
    """A line for every decision."""


def parse_time(text: str) -> float | None:
    """Return Unix seconds of an ISO 8601 time with zone; None when it is not one."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.timestamp() if time.tzinfo is not None else None


def _below(key: str, problems: Iterator[Problem]) -> Iterator[Problem]:
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


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # A bad form, a folder of zones, an unknown zone.
        return False
    return True
