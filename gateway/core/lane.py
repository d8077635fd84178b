"""Lane: what one route keeps ready for each of its requests, put together once per config version and set of prices."""

from gateway.core.budget.promise import Promise
from gateway.core.pricing.terms import Terms, terms_of
from gateway.core.pricing.threshold import Gain
from gateway.domain.event import Entry
from gateway.domain.prices import Prices


class Lane:
    """One route of one config version, at the prices in force."""

    __slots__ = ("gain", "opening", "prices", "promise", "route", "terms")

    def __init__(self, route: str, promise: Promise, gain: Gain, opening: list[Entry], prices: Prices) -> None:
        self.route, self.promise, self.gain = route, promise, gain
        self.opening = opening
        """What an arrival adds to the counters."""
        self.prices, self.terms = prices, terms_of(prices, route)

    def at(self, prices: Prices) -> Terms:
        """Return what requests pay under these prices, which are then in force."""
        if self.prices is not prices:
            self.prices, self.terms = prices, terms_of(prices, self.route)
        return self.terms
