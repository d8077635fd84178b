"""Which prices a request of one route pays: of several SLOs of one kind, the highest counts (a dollar is charged once)."""

from gateway.core.placement.health import probe_share
from gateway.domain.prices import Prices
from gateway.domain.value import Value


class Terms(Value, frozen=True):
    """Prices in force for one route, ready for the hot path."""

    per_unit: tuple[tuple[str, float], ...]
    """(SLI kind, values per dollar or per bad event), most expensive of each kind, zero prices left out."""
    mean_value: float
    fixed_threshold: float | None
    probe_share: float
    version: int


def terms_of(prices: Prices, route: str | None) -> Terms:
    """Return what requests of `route` pay under published prices."""
    highest: dict[str, float] = {}
    for price in prices.prices:
        if price.route is None or price.route == route:
            per_unit = price.per_unit
            if per_unit > highest.get(price.kind, 0.0):
                highest[price.kind] = per_unit
    return Terms(tuple(highest.items()), prices.mean_value, prices.fixed_threshold, probe_share(prices.request_rate), prices.version)
