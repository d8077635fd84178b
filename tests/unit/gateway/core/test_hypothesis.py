"""A hypothesis: the ledger reads back what was supposed, prices follow the configured law, and less left never makes anything cheaper."""

from dataclasses import replace

import pytest

from gateway.core.budget.counts import Counts
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Ttft
from gateway.core.budget.slo import DAY_S, Period, SloSpec, build
from gateway.core.governor import Governor, Published
from gateway.core.hypothesis import Hypothesis, Impossible, published, spending_rate, usual_remaining
from gateway.core.pricing.card import Card
from gateway.core.pricing.laws.registry import LAWS
from gateway.core.pricing.threshold import Gain
from tests.unit.gateway.core.traffic import CARD, FAIR

FLEET = SloSpec("availability", "availability", Availability.Options(), 0.99, 28 * DAY_S)
FIRST = SloSpec("first-token", "ttft", Ttft.Options(at_most=1.0), 0.95, period=Period("week"))
SPEND = SloSpec("spend", "cost", Cost.Options(FAIR * 864_000, 864_000.0), period=Period("day"))  # 10 requests a second.
ANSWERS = SloSpec("answers", "quality", Quality.Options(), 0.6, 28 * DAY_S)
LEFT = (1.0, 0.9, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01, 0.0, -0.1, -1.0)


def governor(*specs: SloSpec, law: str = "shadow_price", cards: dict[str, Card] | None = None) -> Governor:
    slos = build(specs or (FLEET, SPEND, FIRST))
    cards = cards or {"auto": CARD}
    options = LAWS[law].Options(threshold=0.5) if law in ("static", "step") else LAWS[law].Options()  # type: ignore[attr-defined]
    gains = dict.fromkeys(cards, Gain(((0.0, 0.0), (1.0, 0.4))))
    return Governor(slos, LAWS[law](options), [s.spec.name for s in slos], ("strong", "weak"), gains, lambda: cards, "hash", 10.0)


def suppose(*specs: SloSpec, law: str = "shadow_price", cards: dict[str, Card] | None = None, **more: object) -> Published:
    return published(governor(*specs, law=law, cards=cards), Hypothesis(**more), 10.0)  # type: ignore[arg-type]


def price(out: Published, slo: str) -> float:
    return next(p.per_unit for p in out.prices.prices if p.slo == slo)


# -- what the ledger reads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("left", [1.0, 0.3, 0.0, -0.02])
@pytest.mark.parametrize("spec", [FLEET, FIRST, SPEND, ANSWERS, replace(SPEND, period=None, window_s=DAY_S), replace(FLEET, route="auto")])
def test_the_ledger_reads_back_what_is_supposed_to_be_left(spec: SloSpec, left: float, at: float) -> None:
    if spec is FIRST and at < 0.05 and left < 1.0:
        pytest.skip("too few events so far to have used that much")
    [judged] = suppose(spec, remaining={spec.name: left}, at=at).judgements
    assert judged.remaining == pytest.approx(left)
    assert judged.is_exhausted == (left <= 0) and judged.has_data
    assert judged.elapsed == pytest.approx(at if spec.period is not None else 1.0)


def test_a_rolling_window_gives_back_what_ages_out_of_it() -> None:
    """A quarter of the window's bad events have gone by the time that is planned for: b (1 - 3/4 (1 - left)) / (1/4)."""
    allowances = [suppose(FLEET, remaining={"availability": left}).judgements[0].allowance for left in (0.8, 0.0)]
    assert allowances == pytest.approx([0.034, 0.01])


def test_dollars_that_nothing_is_said_of_are_as_scheduled_and_all_else_is_full() -> None:
    shaped = replace(SPEND, options=Cost.Options(100.0, 1000.0, (100.0, 900.0)))
    assert usual_remaining(build([SPEND])[0], 0.25) == 0.75
    assert usual_remaining(build([shaped])[0], 0.5) == pytest.approx(0.9)
    assert usual_remaining(build([replace(SPEND, period=None, window_s=DAY_S)])[0], 0.5) == 1.0
    by_name = {j.slo.spec.name: j for j in suppose(remaining={}, at=0.25).judgements}
    assert [by_name[name].remaining for name in ("availability", "spend", "first-token")] == pytest.approx([1.0, 0.75, 1.0])
    assert by_name["spend"].allowance == pytest.approx(FAIR) and by_name["spend"].left == pytest.approx(648_000)


def test_a_rate_other_than_the_forecast_changes_what_is_to_come() -> None:
    half, usual, double = (suppose(SPEND, remaining={"spend": 0.5}, **at).judgements[0] for at in ({"rate": 5.0}, {}, {"rate": 20.0}))
    assert half.left < usual.left < double.left
    assert half.allowance > usual.allowance > double.allowance
    assert suppose(FLEET, remaining={}, rate=2.0).prices.request_rate == 2.0


def test_more_bad_events_than_there_were_events_are_impossible_and_the_least_share_is_told() -> None:
    with pytest.raises(Impossible, match=r"first-token=-30: .* -9 would be left"):
        suppose(remaining={"first-token": -30.0})


def test_a_budget_of_one_of_two_routes_is_judged_on_its_part_of_the_traffic() -> None:
    routed = replace(FIRST, name="routed", route="other")
    fleet, part = suppose(FIRST, routed, remaining={"routed": 0.3}, cards={"auto": CARD, "other": CARD}).judgements
    assert part.left == pytest.approx(fleet.left / 2) and part.remaining == pytest.approx(0.3)


def test_the_assumed_rate_spends_the_budget_evenly_at_the_declared_share() -> None:
    [slo] = build([SPEND])
    assert spending_rate(slo, {"auto": CARD}, 0.35) == pytest.approx(10.0)
    [routed] = build([replace(SPEND, route="auto")])
    assert spending_rate(routed, {"auto": CARD, "other": CARD}, 0.35) == pytest.approx(20.0)


# -- prices ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["shadow_price", "pid"])
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_less_left_of_the_dollars_never_lowers_their_price_or_the_threshold(law: str, at: float) -> None:
    outs = [suppose(law=law, remaining={"spend": left}, at=at) for left in LEFT]
    prices, alphas = [price(o, "spend") for o in outs], [o.prices.alpha_ref["auto"] for o in outs]
    assert prices == sorted(prices) and prices[-1] > prices[0]
    assert alphas == sorted(alphas) and alphas[-1] > alphas[0]


@pytest.mark.parametrize(("slo", "sick"), [("first-token", {"late": {"strong": 0.3}}), ("availability", {"failing": {"strong": 0.1}})])
def test_less_left_never_lowers_the_price_of_what_a_model_spends(slo: str, sick: dict[str, object]) -> None:
    prices = [price(suppose(remaining={slo: left, "spend": 0.9}, **sick), slo) for left in LEFT]
    assert prices == sorted(prices) and prices[-1] > prices[0]


def test_what_no_model_spends_is_free_however_little_is_left_of_it() -> None:
    out = suppose(remaining={"first-token": 0.01, "availability": 0.01})
    assert price(out, "first-token") == price(out, "availability") == 0.0
    assert out.prices.mode == "thrifty"


def test_a_spent_dollar_budget_does_what_it_says_when_it_is_exhausted() -> None:
    cheapest, alert = (suppose(replace(SPEND, on_exhausted=does), remaining={"spend": 0.0}) for does in ("cheapest", "alert"))
    assert price(cheapest, "spend") > price(alert, "spend")
    assert cheapest.prices.mode == alert.prices.mode == "exhausted"
    assert cheapest.prices.exhausted == ("spend",)


def test_what_even_the_weak_model_would_overspend_is_named() -> None:
    assert suppose(remaining={"spend": 0.02}).prices.infeasible == ("spend",)
    assert suppose(remaining={"spend": 0.5}).prices.infeasible == ()


def test_a_quality_budget_is_priced_together_with_the_dollars() -> None:
    scarce, ample = (suppose(SPEND, ANSWERS, remaining={"answers": left}) for left in (-0.1, 1.0))
    assert price(scarce, "answers") > price(ample, "answers") == 0.0


def test_the_prices_are_where_a_real_tick_starts() -> None:
    """At the schedule and with nothing amiss, a fresh governor says the same of its first tick as the hypothesis of its middle."""
    out = suppose(SPEND, remaining={"spend": 0.5})
    real = governor(SPEND)
    first = real.tick(Counts(), {}, 1_759_968_000.0, {}).prices
    assert price(out, "spend") == pytest.approx(first.prices[0].per_unit, rel=1e-3)


@pytest.mark.parametrize("law", ["static", "step"])
def test_a_law_of_thresholds_says_its_threshold(law: str) -> None:
    assert {suppose(law=law, remaining={"spend": left}).prices.fixed_threshold for left in LEFT} == {0.5}
