"""What one route keeps ready: its own terms, worked out anew when other prices come into force."""

from gateway.core.budget.promise import Promise
from gateway.core.lane import Lane
from gateway.core.pricing.threshold import Gain
from gateway.domain.prices import Price, Prices


def priced(version: int, value: float) -> Prices:
    all_routes, other = Price("spend", "cost", value, 0.001), Price("elsewhere", "cost", 9.0, 0.001, route="other")
    return Prices(version, 1, "hash", 0.0, "shadow_price", (all_routes, other), 3.0, factors={"strong": 1.0 + version})


def test_terms_are_those_of_the_route_and_stay_while_the_prices_do() -> None:
    first = priced(1, 0.5)
    lane = Lane("auto", Promise(), Gain(), [("req", 1)], first)
    assert lane.terms.per_unit == (("cost", 500.0),)
    assert lane.at(first) is lane.terms and lane.terms.version == 1


def test_other_prices_bring_their_terms_and_their_factors_together() -> None:
    lane = Lane("auto", Promise(), Gain(), [("req", 1)], priced(1, 0.5))
    second = priced(2, 0.7)
    assert lane.at(second) is lane.terms and lane.terms.version == 2
    assert lane.prices is second and lane.prices.factors == {"strong": 3.0}
