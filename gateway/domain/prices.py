"""What the governor publishes and every worker reads: one price per budget, and how old it is.

Units: a cost price is in mean request values per *allowance* (an allowance is `allowance` dollars per request); a ratio
price is in mean request values per bad event. JSON in the store, so that a person can read it there too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.domain.value import Value

SCHEMA = 1


class Price(Value, frozen=True):
    """One budget's price."""

    slo: str
    kind: str
    value: float
    """Cost: values per allowance. Others: values per bad event."""
    allowance: float
    """Cost: affordable dollars per request now. Others: affordable bad events per event now."""
    route: str | None = None
    """The route this SLO is for; None is fleet-wide."""
    threshold: float | None = None
    """A law that acts on a fixed threshold says so here (static, step)."""

    @property
    def per_unit(self) -> float:
        """Values per dollar, or per bad event: what multiplies the resource in S_m."""
        return self.value / self.allowance if self.kind == "cost" else self.value


class Prices(Value, frozen=True):
    """One published set of prices."""

    version: int
    fencing_token: int
    config_hash: str
    made_wall_s: float
    law: str
    prices: tuple[Price, ...] = ()
    mean_value: float = 1.0
    """Mean class value over the traffic, v̄."""
    fixed_threshold: float | None = None
    """Set by laws that act on a win-rate threshold instead of prices."""
    factors: Mapping[str, float] = {}
    """Billed over expected dollars, learned per model."""
    alpha_ref: Mapping[str, float] = {}
    """Threshold of the median request with healthy backends, by route."""
    mode: str = "green"
    """For humans: green, thrifty, scarce, exhausted."""
    infeasible: tuple[str, ...] = ()
    """SLOs that cannot be met together with those before them in `priority`."""
    exhausted: tuple[str, ...] = ()
    request_rate: float = 0.0
    """Requests per second that the governor sees, over the whole fleet."""
    alpha_by_class: Mapping[str, Mapping[str, float]] = {}
    """As `alpha_ref`, for a median request of each class, by route and class."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data, `Prices.of_json`'s inverse."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "fencing_token": self.fencing_token,
            "config_hash": self.config_hash,
            "made_wall_s": self.made_wall_s,
            "law": self.law,
            "prices": [
                {"slo": p.slo, "kind": p.kind, "value": p.value, "allowance": p.allowance, "route": p.route, "threshold": p.threshold}
                for p in self.prices
            ],
            "mean_value": self.mean_value,
            "fixed_threshold": self.fixed_threshold,
            "factors": dict(self.factors),
            "alpha_ref": dict(self.alpha_ref),
            "alpha_by_class": {route: dict(by_class) for route, by_class in self.alpha_by_class.items()},
            "mode": self.mode,
            "infeasible": list(self.infeasible),
            "exhausted": list(self.exhausted),
            "request_rate": self.request_rate,
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> "Prices":
        """Read published prices.

        Raises: ValueError when they were written by a newer schema, KeyError when a field is missing.
        """
        if data.get("schema") != SCHEMA:
            raise ValueError(f"prices of schema {data.get('schema')}, this build reads {SCHEMA}")
        fields = {k: v for k, v in data.items() if k != "schema"}
        fields["prices"] = tuple(Price(**p) for p in data["prices"])
        fields["infeasible"], fields["exhausted"] = tuple(data["infeasible"]), tuple(data["exhausted"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Pin:
    """Break-glass: a route held at a threshold until it expires."""

    route: str
    threshold: float
    until_wall_s: float
    by: str = ""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What operators pinned or froze; kept in the store, expiring, shown in red."""

    pins: Mapping[str, Pin] = field(default_factory=dict)
    frozen_until_wall_s: float = 0.0
    frozen_by: str = ""
