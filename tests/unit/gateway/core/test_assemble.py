"""The core of one config version, built."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.core.assemble import PRIOR_COMPLETION_TOKENS, PRIOR_PROMPT_TOKENS, Prediction, assemble
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import Period, SloSpec
from gateway.core.pricing.card import Card
from gateway.core.pricing.laws.shadow_price import ShadowPriceLaw
from gateway.core.pricing.laws.static import StaticLaw
from gateway.core.pricing.options import PricingOptions
from gateway.core.pricing.sample import ROWS_MIN
from gateway.core.pricing.threshold import Gain
from gateway.core.state import State
from gateway.core.ticket import Ticket
from gateway.domain.catalog import Backend, Catalog, Model, Route, Router, Tariff, Tenant, TrafficClass
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.domain.prices import Overrides

STRONG = Model("strong", Tariff(2.5, 10.0), 128_000, (Backend("strong@s", "http://s/v1", "big"),))
WEAK = Model("weak", Tariff(0.15, 0.6), 32_000, (Backend("weak@w", "http://w/v1", "small"),))
HIGH, LOW = TrafficClass("critical", 10.0, 2.0, 0), TrafficClass("batch", 1.0, 600.0, 1)
CATALOG = Catalog(
    {"strong": STRONG, "weak": WEAK},
    {"auto": Route("auto", ("strong", "weak"), Router("builtin", 0.35))},
    {"critical": HIGH, "batch": LOW},
    {"a": Tenant("a", (), "batch"), "b": Tenant("b", (), "batch"), "c": Tenant("c", (), "critical")},
)
SPEND = SloSpec("spend", "cost", Cost.Options(40.0, 10_000.0), period=Period("day"))
PREDICTIONS = {"auto": Prediction(Gain(), np.tile([0.9, 0.6], (300, 1)))}
SHADOW = PricingOptions("shadow_price", ShadowPriceLaw.Options(), ("spend",))
WELL = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}


def test_the_law_the_budgets_and_the_gains_are_those_of_the_configuration() -> None:
    core = assemble(CATALOG, [SPEND], SHADOW, PREDICTIONS, State(), "enforce", "abc", 4.5)
    published = core.governor.tick(core.dispatcher.state.counts, {}, 0.0, WELL)
    assert (published.prices.law, published.prices.config_hash) == ("shadow_price", "abc")
    assert [s.spec.name for s in core.slos] == ["spend"] and core.gains == {"auto": PREDICTIONS["auto"].gain}
    static = PricingOptions("static", StaticLaw.Options(0.3), ())
    core = assemble(CATALOG, [], static, PREDICTIONS, State(), "observe", "abc", 4.5)
    assert core.governor.tick(core.dispatcher.state.counts, {}, 0.0, WELL).prices.fixed_threshold == 0.3
    assert core.dispatcher.mode == "observe"


def test_before_any_traffic_dollars_follow_the_tariffs_and_values_the_tenants() -> None:
    core = assemble(CATALOG, [SPEND], SHADOW, PREDICTIONS, State(), "enforce", "abc", 4.5)
    prices = core.governor.tick(core.dispatcher.state.counts, {}, 0.0, WELL).prices
    assert prices.mean_value == pytest.approx((1 + 1 + 10) / 3)
    # 40 dollars for 10,000 requests: the strong model alone would cost more than that.
    assert STRONG.tariff.usd(PRIOR_PROMPT_TOKENS, PRIOR_COMPLETION_TOKENS) > 0.004 and prices.prices[0].value > 0.0


def test_recent_traffic_takes_the_calibration_samples_place() -> None:
    state = State()
    core = assemble(CATALOG, [SPEND], SHADOW, PREDICTIONS, state, "enforce", "abc", 4.5)
    for _ in range(4 * ROWS_MIN):
        state.sample.add("auto", 7.0, (0.8, 0.7), (0.01, 0.001))
    assert core.governor.tick(state.counts, {}, 0.0, WELL).prices.mean_value == 7.0


def test_a_replayed_world_brings_its_own_cards() -> None:
    card = Card(("strong", "weak"), np.full(10, 5.0), np.full((10, 2), 0.5), np.full((10, 2), 0.1))
    core = assemble(CATALOG, [SPEND], SHADOW, PREDICTIONS, State(), "enforce", "abc", 4.5, cards=lambda: {"auto": card})
    assert core.governor.tick(core.dispatcher.state.counts, {}, 0.0, WELL).prices.mean_value == 5.0


def test_dispatcher_and_governor_meet_in_prices_and_counts() -> None:
    state = State()
    core = assemble(CATALOG, [SPEND], SHADOW, PREDICTIONS, state, "enforce", "abc", 4.5)
    core.dispatcher.adopt(core.governor.tick(state.counts, {}, 0.0, WELL).prices, Overrides(), 0.0)
    facts = RequestFacts("r", Endpoint.CHAT, "a", HIGH, "auto", (STRONG, WEAK), 100, None, True, 0.0, (0.5, 0.9))
    ticket = core.dispatcher.decide(facts, (0.9, 0.6), 0.0)
    assert isinstance(ticket, Ticket) and ticket.terms is not None and ticket.terms.version == 1
    assert dict(ticket.terms.per_unit).keys() == {"cost"}


def test_a_route_without_tenants_has_a_mean_value_of_one() -> None:
    core = assemble(replace(CATALOG, tenants={}), [SPEND], SHADOW, PREDICTIONS, State(), "enforce", "abc", 4.5)
    assert core.governor.tick(core.dispatcher.state.counts, {}, 0.0, WELL).prices.mean_value == 1.0


def test_what_has_no_meaning_is_refused_before_it_decides_anything() -> None:
    def made(specs: list[SloSpec], priority: tuple[str, ...]) -> None:
        pricing = PricingOptions("shadow_price", ShadowPriceLaw.Options(), priority)
        assemble(CATALOG, specs, pricing, PREDICTIONS, State(), "enforce", "abc", 4.5)

    with pytest.raises(ValueError, match="priority names no SLO: spent"):
        made([SPEND], ("spent",))
    with pytest.raises(ValueError, match="called spend"):
        made([SPEND, SPEND], ("spend",))
    with pytest.raises(ValueError, match="dollars"):
        made([replace(SPEND, options=Cost.Options(-1.0))], ("spend",))
    made([SPEND], ())  # What priority leaves out comes last.
