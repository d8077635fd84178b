"""All sections of a configuration as operators write them; their docstrings are the reference text.

One key = one field (a trailing underscore stands for a Python keyword). Sections that one room reads alone are that
room's Options; the others need names of each other, or look different in the file than in the code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from gateway.config.errors import Problem
from gateway.config.names import DIGEST, name_problems
from gateway.config.objectives import SloSection
from gateway.config.offer import ModelSection, RouteSection, below
from gateway.config.plugins import LAW_KINDS, Chosen
from gateway.domain.units import Count, Seconds, Usd
from gateway.edges.server.options import AdminOptions, ServerOptions
from gateway.edges.store.options import StoreOptions
from gateway.edges.telemetry.options import DecisionLogOptions
from gateway.edges.upstream.options import UpstreamOptions


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


UNITS_MAX = 10**12
"""Requests or tokens per minute; a thousand times what any fleet serves, and exact in the store's numbers."""
USD_MAX = 5_000_000
"""Dollars per day; counted in nanodollars, they are exact in the store's numbers up to 9 million."""


@dataclass(frozen=True, slots=True)
class LimitsSection:
    """Hard limits, shared by all replicas; none is no limit."""

    rpm: Count | None = None
    """Requests per minute: a bucket that holds a minute's worth and fills evenly."""
    tpm: Count | None = None
    """Tokens per minute, prompt and completion; taken as estimated, settled as used."""
    usd_per_day: Usd | None = None
    """Dollars per day (UTC); taken as estimated, settled as used."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        for key, most in (("rpm", UNITS_MAX), ("tpm", UNITS_MAX), ("usd_per_day", USD_MAX)):
            if (getattr(self, key) or 0) > most:
                yield Problem((key,), f"more than {most:,}; leave it out for no limit")


@dataclass(frozen=True, slots=True)
class KeyLimitsSection(LimitsSection):
    """Hard limits of one key, within those of its tenant."""

    key: str = field(kw_only=True, repr=False)
    """Its digest, one of the tenant's `keys`."""


@dataclass(frozen=True, slots=True)
class ModelLimitsSection(LimitsSection):
    """Hard limits of what the tenant has of one model; used up, another model of the route answers if there is one."""

    model: str = field(kw_only=True)
    """The model's name."""


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
    """What it may use at most, all keys and models together."""
    key_limits: tuple[KeyLimitsSection, ...] = ()
    """What single keys may use of it."""
    model_limits: tuple[ModelLimitsSection, ...] = ()
    """What it may use of single models."""
    may: tuple[Literal["threshold", "choose_model", "raise_class", "debug"], ...] = ()
    """Rights with which a client could buy its way out of a budget, and `debug` headers; all off."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it; a key that stands in the file is not repeated."""
        yield from name_problems(self.name)
        for i, key in enumerate(self.keys):
            if not (DIGEST.match(key) and key.startswith("sha256:")):
                yield Problem(("keys", i), "not a digest; keys are kept as `sha256:<64 hexadecimal digits>`: `sluice keys` makes one")
        yield from below("limits", self.limits.problems())
        keys = [key.lower() for key in self.keys]
        yield from _several("key_limits", "key", self.key_limits, [limits.key.lower() for limits in self.key_limits])
        yield from _several("model_limits", "model", self.model_limits, [limits.model for limits in self.model_limits])
        for i, limits in enumerate(self.key_limits):
            if limits.key.lower() not in keys:
                yield Problem(("key_limits", i, "key"), "none of this tenant's `keys`")


def _several(section: str, what: str, several: Sequence[LimitsSection], names: Sequence[str]) -> Iterator[Problem]:
    """Yield what is wrong with limits of single keys or models."""
    for i, limits in enumerate(several):
        for problem in limits.problems():
            yield Problem((section, i, *problem.path), problem.message)
        if (limits.rpm, limits.tpm, limits.usd_per_day) == (None, None, None):
            yield Problem((section, i), "no limit in it; write `rpm`, `tpm` or `usd_per_day`")
        if names[i] in names[:i]:
            yield Problem((section, i, what), f"limits of this {what} stand here twice")


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
