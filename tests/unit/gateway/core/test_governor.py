"""One budget tick: judge, price, say; and handing all of it to the next writer."""

import json
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from gateway.core.budget.counts import Counts
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec, build
from gateway.core.governor import Governor, Published
from gateway.core.pricing.card import mean_usd
from gateway.core.pricing.laws.shadow_price import ShadowPriceLaw
from gateway.core.pricing.laws.static import StaticLaw
from gateway.core.pricing.threshold import Gain
from gateway.domain.event import NANO
from gateway.domain.prices import Overrides, Prices
from tests.unit.gateway.core.traffic import CARD, FAIR

T = 1_759_968_000.0  # 2025-10-09 00:00:00 UTC.
DAY = Period("day")
FLEET = SloSpec("availability", "availability", Availability.Options(), 0.99, 28 * DAY_S)
SPEND = SloSpec("spend", "cost", Cost.Options(FAIR * 864_000, 864_000.0), period=DAY)  # 10 requests a second.
WELL = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}


def governor(*specs: SloSpec, law: Any = None, priority: tuple[str, ...] = ("availability", "spend"), **more: Any) -> Governor:
    cards = more.pop("cards", lambda: {"auto": CARD})
    slos = build(specs or (FLEET, SPEND))
    law = law or ShadowPriceLaw(ShadowPriceLaw.Options())
    return Governor(
        slos, law, priority, ("strong", "weak"), {"auto": Gain(((0.0, 0.0), (1.0, 0.4)))}, cards, "hash", 10.0, more.pop("classes", None)
    )


class Day:
    """A governor with its counts, ticked every 5 s."""

    def __init__(self, made: Governor, wall_s: float = T) -> None:
        self.governor, self.counts, self.wall_s = made, Counts(), wall_s - 5.0
        self.slo: Slo = build([FLEET])[0]

    def fresh(self, requests: int, usd_each: float, bad: int = 0, **more: int) -> dict[str, int]:
        usd = round(requests * usd_each * NANO)
        return {"n": requests, "req": requests, "usd": usd, self.slo.valid_field: requests, self.slo.bad_field: bad, **more}

    def tick(self, fresh: dict[str, int] | None = None, dt_s: float = 5.0, **more: Any) -> Published:
        self.wall_s += dt_s
        self.counts.add((fresh or {}).items(), self.wall_s)
        return self.governor.tick(self.counts, fresh or {}, self.wall_s, WELL, **more)


def value(published: Published, slo: str) -> float:
    return next(p.value for p in published.prices.prices if p.slo == slo)


# -- what is published -------------------------------------------------------------------------------------------------


def test_the_first_tick_publishes_prices_that_meet_the_budget() -> None:
    published = Day(governor()).tick(fencing_token=7)
    prices = published.prices
    assert (prices.version, prices.fencing_token, prices.config_hash, prices.law, prices.made_wall_s) == (1, 7, "hash", "shadow_price", T)
    assert [p.slo for p in prices.prices] == ["availability", "spend"]
    assert prices.mean_value == pytest.approx(CARD.mean_value) and prices.mode == "thrifty"
    assert 0.0 < prices.alpha_ref["auto"] < 1.0 and prices.request_rate == pytest.approx(10.0)
    assert prices.infeasible == prices.exhausted == ()


def test_thresholds_are_published_by_class_too() -> None:
    prices = Day(governor(classes={"gold": 2 * CARD.mean_value, "plain": CARD.mean_value, "bulk": 0.2})).tick().prices
    by_class = prices.alpha_by_class["auto"]
    assert by_class["gold"] < by_class["plain"] < by_class["bulk"] and by_class["plain"] == pytest.approx(prices.alpha_ref["auto"])
    assert Prices.of_json(json.loads(json.dumps(prices.as_json()))) == prices


def test_what_is_published_is_plain_data() -> None:
    published = Day(governor()).tick()
    for part in (published.prices.as_json(), published.memory, published.board):
        assert json.loads(json.dumps(part)) == part
    assert [b["slo"] for b in published.board["budgets"]] == ["availability", "spend"]


def test_a_quick_tick_gives_the_same_prices_and_leaves_out_what_is_only_shown_or_handed_on() -> None:
    quick, whole = (Day(governor(classes={"gold": 10.0})).tick(is_quick=is_quick) for is_quick in (True, False))
    assert quick.board == quick.memory == {} and whole.board and whole.memory
    assert quick.prices.alpha_by_class == {} and whole.prices.alpha_by_class
    assert structs.replace(quick.prices, alpha_by_class=whole.prices.alpha_by_class) == whole.prices


def test_versions_count_up() -> None:
    day = Day(governor())
    assert [day.tick().prices.version for _ in range(3)] == [1, 2, 3]


def test_budgets_are_judged_in_the_operators_priority() -> None:
    day = Day(governor(FLEET, SPEND, priority=("spend",)))
    assert [j.slo.spec.name for j in day.tick().judgements] == ["spend", "availability"]


def test_spending_too_much_makes_the_threshold_rise_and_too_little_lets_it_fall() -> None:
    alphas = {}
    for factor in (0.5, 1.0, 1.5):
        day = Day(governor())
        for _ in range(100):
            published = day.tick(day.fresh(50, factor * FAIR))
        alphas[factor] = published.prices.alpha_ref["auto"]
    assert alphas[0.5] < alphas[1.0] < alphas[1.5]


def test_an_exhausted_budget_is_named() -> None:
    day = Day(governor())
    day.tick()
    prices = day.tick({"n": 10, "req": 10, "usd": round(FAIR * 900_000 * NANO)}).prices
    assert prices.exhausted == ("spend",) and prices.mode == "exhausted"


def test_a_budget_that_is_merely_too_small_is_not_yet_exhausted() -> None:
    day = Day(governor(FLEET, replace(SPEND, options=Cost.Options(0.0005 * 864_000, 864_000.0))))
    published = day.tick()
    assert published.judgements[1].is_short and published.prices.exhausted == ()


def test_a_fixed_threshold_is_published_as_such() -> None:
    prices = Day(governor(law=StaticLaw(StaticLaw.Options(0.42)))).tick().prices
    assert prices.fixed_threshold == 0.42 and prices.alpha_ref == {"auto": 0.42} and prices.prices == () and prices.mode == "green"


def test_without_routes_that_have_a_choice_there_is_still_a_tick() -> None:
    prices = Day(governor(FLEET, cards=dict)).tick().prices
    assert prices.alpha_ref == {} and prices.mean_value == 1.0


def test_without_budgets_everything_is_green() -> None:
    slos: tuple[SloSpec, ...] = ()
    made = Governor(build(slos), ShadowPriceLaw(ShadowPriceLaw.Options()), (), ("strong",), {}, dict, "hash", 10.0)
    assert Day(made).tick().prices.mode == "green"


# -- what is learned ---------------------------------------------------------------------------------------------------


def test_the_request_rate_starts_from_the_forecast_and_follows_the_traffic() -> None:
    day = Day(governor())
    day.tick()
    for _ in range(240):
        published = day.tick(day.fresh(100, FAIR))
    assert published.prices.request_rate == pytest.approx(20.0, rel=0.15)
    assert published.prices.request_rate < 20.0


def test_without_a_forecast_the_first_requests_are_believed_at_once() -> None:
    day = Day(governor(FLEET))
    assert day.tick().prices.request_rate == 0.0
    assert day.tick(day.fresh(100, FAIR)).prices.request_rate == pytest.approx(20.0)


def test_a_model_that_bills_more_than_listed_is_known_after_some_hundred_requests() -> None:
    day = Day(governor())
    day.tick()
    for _ in range(100):
        published = day.tick(day.fresh(50, FAIR, **{"m.strong.n": 10, "m.strong.usd": 30 * NANO, "m.strong.exp": 10 * NANO}))
    assert published.prices.factors["strong"] == pytest.approx(3.0, rel=0.001)
    assert "weak" not in published.prices.factors
    one = Day(governor())
    one.tick()
    prices = one.tick(one.fresh(1, FAIR, **{"m.strong.n": 1, "m.strong.usd": 3, "m.strong.exp": 1})).prices
    assert prices.factors["strong"] == pytest.approx((100 + 3) / 101)


def test_a_store_that_lost_bills_teaches_nothing() -> None:
    day = Day(governor())
    day.tick()
    prices = day.tick({"n": 5, "req": 5, "m.strong.n": -500, "m.strong.usd": -9 * NANO, "m.strong.exp": -NANO}).prices
    assert "strong" not in prices.factors


def test_a_store_that_lost_writes_makes_no_negative_rate() -> None:
    day = Day(governor(FLEET))
    day.tick()
    day.tick(day.fresh(50, FAIR))
    assert day.tick({"n": -500, "req": -500}).prices.request_rate >= 0.0


def test_a_wall_clock_that_is_set_back_does_not_turn_prices_round() -> None:
    day = Day(governor())
    day.tick()
    for _ in range(5):
        before = day.tick(day.fresh(50, 1.5 * FAIR))
    after = day.tick(day.fresh(50, 1.5 * FAIR), dt_s=-20.0)
    assert value(after, "spend") >= value(before, "spend")
    assert after.prices.request_rate == pytest.approx(before.prices.request_rate)


# -- freezing ----------------------------------------------------------------------------------------------------------


def test_a_freeze_holds_every_price_and_what_a_dollar_costs() -> None:
    day = Day(governor())
    for _ in range(5):
        before = day.tick(day.fresh(50, FAIR))
    frozen = Overrides(frozen_until_wall_s=day.wall_s + 600.0)
    for _ in range(50):
        during = day.tick(day.fresh(50, 3 * FAIR), overrides=frozen)
    assert during.prices.prices == before.prices.prices and during.prices.alpha_ref == before.prices.alpha_ref
    assert during.prices.version == before.prices.version + 50  # Said anew all the same: nobody takes them for stale.
    assert during.judgements[1].bad > before.judgements[1].bad


def test_after_the_freeze_prices_move_again() -> None:
    day = Day(governor())
    before = day.tick()
    frozen = Overrides(frozen_until_wall_s=day.wall_s + 10.0)
    assert value(day.tick(day.fresh(50, 9 * FAIR), overrides=frozen), "spend") == value(before, "spend")
    assert value(day.tick(day.fresh(50, 9 * FAIR), overrides=frozen), "spend") > value(before, "spend")


def test_a_gateway_that_starts_frozen_has_prices_nevertheless() -> None:
    published = Day(governor()).tick(overrides=Overrides(frozen_until_wall_s=T + 600))
    assert len(published.prices.prices) == 2 and published.prices.alpha_ref["auto"] > 0.0


# -- handing over ------------------------------------------------------------------------------------------------------


def test_the_next_writer_goes_on_from_what_was_published() -> None:
    day = Day(governor())
    for _ in range(50):
        published = day.tick(day.fresh(60, 1.2 * FAIR, **{"m.strong.n": 5, "m.strong.usd": 2 * NANO, "m.strong.exp": NANO}))
    other = Day(governor(), day.wall_s + 5.0)
    other.governor.recall(json.loads(json.dumps(published.memory)))
    other.counts = day.counts
    mine, theirs = other.tick(), day.tick()
    assert mine.prices.version == theirs.prices.version
    assert mine.prices.factors == theirs.prices.factors
    assert mine.prices.request_rate == pytest.approx(published.prices.request_rate)
    assert value(mine, "spend") == pytest.approx(value(theirs, "spend"))
    for a, b in zip(mine.judgements, theirs.judgements, strict=True):
        assert (a.valid, a.arrived) == (b.valid, b.arrived) and a.bad == pytest.approx(b.bad)


def test_a_writer_that_loses_and_regains_the_lease_counts_what_others_did_meanwhile() -> None:
    day = Day(governor())
    day.tick()
    day.tick(day.fresh(50, FAIR))
    between = day.fresh(5_000, FAIR, bad=3)
    day.counts.add(between.items(), day.wall_s + 60.0)
    day.governor.recall(None)
    judged = day.tick(dt_s=120.0).judgements
    assert judged[1].valid == 5_050 and judged[1].bad == pytest.approx(5_050 * FAIR)
    assert (judged[0].valid, judged[0].bad) == (5_050, 3)


def test_a_gateway_that_started_while_the_store_was_away_finds_its_budget_again() -> None:
    day = Day(governor())
    day.tick()  # Prices from the cards; nothing could be read.
    day.counts.add(day.fresh(100_000, FAIR).items(), T - 3600 + DAY_S / 2)
    day.wall_s = T + DAY_S / 2
    day.governor.recall({})
    assert day.tick().judgements[1].valid == 100_000


def test_nothing_that_came_while_nobody_governed_is_taken_for_a_rate() -> None:
    day = Day(governor())
    for _ in range(20):
        published = day.tick(day.fresh(50, FAIR))
    other = Day(governor(), day.wall_s + 1200.0)
    other.governor.recall(published.memory)
    assert other.tick().prices.request_rate == pytest.approx(published.prices.request_rate)


def test_a_config_edit_hands_everything_to_the_new_version() -> None:
    day = Day(governor())
    for _ in range(50):
        published = day.tick(day.fresh(60, 1.2 * FAIR))
    raised = replace(SPEND, options=Cost.Options(2 * SPEND.options.usd, 864_000.0))
    successor = governor(FLEET, raised)
    day.governor.hand_over(successor)
    day.governor = successor
    after = day.tick()
    assert after.prices.version == published.prices.version + 1
    assert after.judgements[1].valid == published.judgements[1].valid
    # The price of a budget that was edited is what the cards say of its new allowance, and a dollar got much cheaper.
    spent = mean_usd([CARD], [("cost", after.prices.prices[1].per_unit)], after.prices.factors)
    assert spent == pytest.approx(after.judgements[1].allowance, rel=0.02)
    assert after.prices.prices[1].per_unit < 0.6 * published.prices.prices[1].per_unit


def test_the_next_writer_knows_what_an_odd_period_opened_with() -> None:
    odd = replace(SPEND, period=Period("fixed", length_s=3_600.0, anchor_wall_s=T + 131.0))
    day = Day(governor(FLEET, odd), T + 130.0)
    for _ in range(180):
        published = day.tick(day.fresh(5, FAIR))
    heir = governor(FLEET, odd)
    heir.recall(json.loads(json.dumps(published.memory)))
    day.governor = heir
    day.tick(day.fresh(5, FAIR), dt_s=1_200.0)
    after = day.tick(is_quick=True)
    assert after.judgements[1].bad == pytest.approx(published.judgements[1].bad + 5 * FAIR)


def test_an_alert_stays_on_through_a_config_edit_in_a_silence() -> None:
    day, second = Day(governor()), governor()
    for _ in range(60):
        day.tick(day.fresh(100, FAIR, bad=90))
    day.governor.hand_over(second)
    day.governor = second
    for _ in range(30):  # Beyond the 5 minutes of the short window; nobody asks.
        shown = day.tick(dt_s=20.0).board["budgets"]
    assert next(b for b in shown if b["slo"] == "availability")["alert"] == "page"


def test_a_governor_that_never_ticked_has_nothing_to_hand_over() -> None:
    successor = governor()
    governor().hand_over(successor)
    assert Day(successor).tick().prices.version == 1


def test_another_laws_memory_is_not_taken_up() -> None:
    day = Day(governor(law=StaticLaw(StaticLaw.Options(0.4))))
    memory = day.tick().memory
    other = Day(governor(), day.wall_s + 5.0)
    other.governor.recall(memory)
    assert value(other.tick(), "spend") > 0.0
    fresh = value(Day(governor()).tick(), "spend")
    strange = {**memory, "law": "step", "law_memory": {"price": {"spend": 99.0}, "cap": {"spend": 99.0}, "plant": {"spend": 1.0}}}
    other = Day(governor())
    other.governor.recall(strange)
    assert value(other.tick(), "spend") == pytest.approx(fresh)


def test_memory_of_another_build_is_read_as_far_as_it_is_known() -> None:
    memory = json.loads(json.dumps(Day(governor()).tick().memory))
    memory["governor"]["invented_later"] = 3
    del memory["governor"]["age_s"]
    other = Day(governor(), T + 5.0)
    other.governor.recall(memory)
    assert other.tick().prices.version == 2


# -- budgets that say nothing --------------------------------------------------------------------------------------------


def test_without_events_no_price_of_a_ratio_moves_and_nothing_is_claimed() -> None:
    day = Day(governor())
    prices = [value(day.tick(), "availability") for _ in range(50)]
    shown = next(b for b in day.tick().board["budgets"] if b["slo"] == "availability")
    assert set(prices) == {0.0} and set(shown["burn"].values()) == {None}
    assert (shown["alert"], shown["projected"], shown["exhausts_wall_s"], shown["is_exhausted"]) == (None, None, None, False)


def test_a_window_shorter_than_the_tick_is_judged_by_what_is_in_it() -> None:
    tiny = SloSpec("tiny", "availability", Availability.Options(), 0.9, 1.0)
    day = Day(governor(tiny, priority=("tiny",)))
    published = None
    for _ in range(20):
        published = day.tick(day.fresh(50, FAIR))
    assert published is not None and [j.slo.spec.name for j in published.judgements] == ["tiny"]


def test_a_writer_that_slept_for_three_hours_moves_its_prices_by_one_step() -> None:
    """What came meanwhile is counted once; no price leaps for the time that nobody watched."""
    day = Day(governor())
    for _ in range(30):
        before = day.tick(day.fresh(50, FAIR))
    after = day.tick(day.fresh(108_000, 2 * FAIR), dt_s=3 * 3600.0)
    spend = next(j for j in after.judgements if j.slo.spec.name == "spend")
    assert spend.bad == pytest.approx(30 * 50 * FAIR + 108_000 * 2 * FAIR, rel=1e-6)
    # The threshold rises, as a smaller allowance is left for the rest of the day; the price of an allowance hardly does.
    assert value(after, "spend") == pytest.approx(value(before, "spend"), rel=0.1)
    assert after.prices.alpha_ref["auto"] > before.prices.alpha_ref["auto"]


def test_a_clock_that_jumps_forward_and_back_leaves_prices_finite_and_in_place() -> None:
    day = Day(governor())
    for _ in range(30):
        before = day.tick(day.fresh(50, FAIR))
    for dt_s in (400 * DAY_S, -400 * DAY_S, -3600.0, 3600.0):
        after = day.tick(day.fresh(50, FAIR), dt_s=dt_s)
        assert all(0.0 <= p.value < 100.0 and p.allowance > 0.0 for p in after.prices.prices)
    assert abs(after.prices.alpha_ref["auto"] - before.prices.alpha_ref["auto"]) < 0.1


def test_a_changed_price_is_believed_after_about_twenty_five_bills_and_scatter_is_averaged() -> None:
    def billed(day: Day, times: float, bills: int) -> float:
        for _ in range(bills):
            prices = day.tick(day.fresh(1, FAIR) | {"m.strong.n": 1, "m.strong.usd": round(1e6 * times), "m.strong.exp": 1_000_000}).prices
        return prices.factors["strong"]

    day = Day(governor())
    assert billed(day, 1.0, 50) == pytest.approx(1.0)
    assert billed(day, 3.0, 1) == pytest.approx(1.013, abs=1e-3) and billed(day, 0.2, 1) < 1.013
    assert billed(day, 6.0, 3) < 1.2 and billed(day, 6.0, 25) > 5.0
    assert billed(day, 6.0, 200) == pytest.approx(6.0, rel=0.1)
    assert billed(day, 1.0, 25) < 1.2
