"""All sections of a configuration as operators write them; their docstrings are the reference text.

One key = one field (a trailing underscore stands for a Python keyword). Sections that one room reads alone are that
room's Options; the others need names of each other, or look different in the file than in the code.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from gateway.config.errors import Problem
from gateway.config.names import DIGEST, name_problems
from gateway.config.objectives import SloSection
from gateway.config.offer import ModelSection, RouteSection
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
            if not (DIGEST.match(key) and key.startswith("sha256:")):
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
