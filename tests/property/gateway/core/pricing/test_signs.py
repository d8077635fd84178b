"""Which way everything moves: prices with spending and failures, thresholds and shares with prices."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.budget.counts import Counts
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Ttft
from gateway.core.budget.slo import Period, SloSpec, build
from gateway.core.governor import Governor
from gateway.core.pricing.card import Card, mean_usd
from gateway.core.pricing.laws.shadow_price import CAP_RATIO, ShadowPriceLaw
from gateway.core.pricing.terms import Terms
from gateway.core.pricing.threshold import Gain, alpha, alpha_ref
from gateway.domain.event import NANO

DAY = Period("day")
GAIN = Gain(((0.0, -0.1), (0.3, 0.05), (1.0, 0.45)))
SPECS = [
    SloSpec("availability", "availability", Availability.Options(), 0.99, period=DAY),
    SloSpec("first-token", "ttft", Ttft.Options(1.0), 0.95, period=DAY),
    SloSpec("spend", "cost", Cost.Options(0.003 * 100_000, 100_000.0), period=DAY),
    SloSpec("quality", "quality", Quality.Options(), 0.8, period=DAY),
]
FLEET, FIRST, SPEND, GOOD = build(SPECS)
WELL = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}


def card(seed: int = 5, rows: int = 300) -> Card:
    rng = np.random.Generator(np.random.PCG64(seed))
    weak = rng.uniform(0.3, 0.9, rows)
    quality = np.stack([np.clip(weak + rng.uniform(-0.1, 0.45, rows), 0, 1), weak], axis=1)
    return Card(("strong", "weak"), rng.choice([10.0, 3.0, 1.0], rows), quality, np.tile([0.008, 0.0008], (rows, 1)))


CARD = card()


class Run:
    """A governor on the card above, ticked every 5 s from the middle of a day."""

    def __init__(self, *, spent_usd: float = 0.0, budget_usd: float = 300.0) -> None:
        specs = [replace(s, options=Cost.Options(budget_usd, 100_000.0)) if s.kind == "cost" else s for s in SPECS]
        law = ShadowPriceLaw(ShadowPriceLaw.Options())
        self.governor = Governor(
            build(specs), law, [s.name for s in specs], ("strong", "weak"), {"auto": GAIN}, lambda: {"auto": CARD}, "h", 10.0
        )
        self.law, self.counts, self.wall_s = law, Counts(), 40_000.0
        self.counts.add([("usd", round(spent_usd * NANO)), ("n", 46_000), ("req", 46_000)], 30_000.0)
        self.tick({})

    def tick(self, fresh: dict[str, int]) -> dict[str, float]:
        self.counts.add(fresh.items(), self.wall_s)
        published = self.governor.tick(self.counts, fresh, self.wall_s, WELL, is_quick=True)
        self.wall_s += 5.0
        self.alpha, self.judgements = published.prices.alpha_ref["auto"], published.judgements
        return {p.slo: p.value for p in published.prices.prices}


def fresh(usd_each: float = 0.003, failed: int = 0, late: int = 0, poor: int = 0, n: int = 20) -> dict[str, int]:
    return {
        "n": n, "req": n, "usd": round(n * usd_each * NANO), FLEET.valid_field: n, FLEET.bad_field: failed,
        FIRST.valid_field: n, FIRST.bad_field: late, GOOD.valid_field: n, GOOD.bad_field: poor,
    }  # fmt: skip


dollars = st.lists(st.floats(0.0, 0.02), min_size=3, max_size=12)
counts_of_20 = st.lists(st.integers(0, 20), min_size=3, max_size=12)


# -- prices with what happens ------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(dollars, st.floats(0.0, 0.02))
def test_more_dollars_never_lower_the_threshold(usd: list[float], more: float) -> None:
    lean, rich = Run(), Run()
    for each in usd:
        lean.tick(fresh(each))
        rich.tick(fresh(each + more))
        assert rich.alpha >= lean.alpha - 1e-9


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 250), st.floats(0, 250), dollars)
def test_with_more_left_of_the_budget_a_dollar_never_costs_more(a: float, b: float, usd: list[float]) -> None:
    little, much = sorted((a, b))
    runs = [Run(spent_usd=little), Run(spent_usd=much)]
    for each in usd:
        thrifty, lavish = (run.tick(fresh(each))["spend"] / run.judgements[2].allowance for run in runs)
        assert runs[0].judgements[2].remaining >= runs[1].judgements[2].remaining
        # Each starts from its own solution and steps by its own plant gain; beside those, within a hundredth.
        assert thrifty <= lavish * 1.01 + 1e-9


@settings(max_examples=40, deadline=None)
@given(counts_of_20, st.integers(1, 10), st.sampled_from(["failed", "late", "poor"]))
def test_more_bad_events_never_lower_their_price(bad: list[int], more: int, what: str) -> None:
    name = {"failed": "availability", "late": "first-token", "poor": "quality"}[what]
    fewer, many = Run(), Run()
    for each in bad:
        low = fewer.tick(fresh(**{what: min(each, 20)}))
        high = many.tick(fresh(**{what: min(each + more, 20)}))
        if what != "poor":  # Quality ranks lowest: a dearer budget above may hold it back.
            assert high[name] >= low[name] - 1e-12


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.05), *[st.integers(0, 20)] * 3, st.integers(0, 40)), max_size=40))
def test_whatever_happens_prices_stay_finite_between_zero_and_their_caps(story: list[tuple[float, int, int, int, int]]) -> None:
    run = Run()
    for usd, failed, late, poor, n in story:
        made = fresh(usd, min(failed, n), min(late, n), min(poor, n), n) if n else {}
        prices = run.tick(made)
        assert all(0.0 <= prices[name] <= run.law.memory.cap[name] for name in prices)
        assert prices["availability"] <= CAP_RATIO and 0.0 <= run.alpha <= 1.0
        assert all(np.isfinite(j.allowance) and j.allowance > 0 for j in run.judgements)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_silence_moves_no_price(pauses: list[int]) -> None:
    run = Run()
    for _ in range(5):
        run.tick(fresh(0.006))
    before = run.tick({})
    for _ in pauses:
        assert run.tick({}) == before


# -- thresholds with prices --------------------------------------------------------------------------------------------

price = st.floats(0, 200)
ratio_price = st.floats(0, 5)


def terms(cost: float, quality: float = 0.0) -> Terms:
    return Terms((("cost", cost), ("quality", quality)), 1.0, None, 0.02, 1)


@given(price, price, ratio_price)
def test_a_dearer_dollar_never_lowers_the_threshold(a: float, b: float, quality: float) -> None:
    low, high = sorted((a, b))
    assert alpha_ref(GAIN, CARD, terms(high, quality)) >= alpha_ref(GAIN, CARD, terms(low, quality))


@given(price, ratio_price, ratio_price)
def test_a_dearer_bad_answer_never_raises_the_threshold(cost: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert alpha_ref(GAIN, CARD, terms(cost, high)) <= alpha_ref(GAIN, CARD, terms(cost, low))


@given(st.floats(0, 3), st.floats(0.05, 10), st.floats(0.05, 10), st.floats(0.05, 1), st.floats(0, 1))
def test_a_more_valuable_class_never_has_a_higher_threshold(priced: float, a: float, b: float, success: float, weak: float) -> None:
    little, much = sorted((a, b))
    assert alpha(GAIN, priced, much, success, success, weak) <= alpha(GAIN, priced, little, success, success, weak) + 1e-12


@given(st.floats(0, 3), st.floats(0.05, 10), st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0, 1))
def test_a_strong_model_that_fails_more_never_has_a_lower_threshold(priced: float, value: float, a: float, b: float, weak: float) -> None:
    sick, well = sorted((a, b))
    assert alpha(GAIN, priced, value, sick, 1.0, weak) >= alpha(GAIN, priced, value, well, 1.0, weak) - 1e-12


# -- shares with prices and prospects ----------------------------------------------------------------------------------


def share(per_unit: list[tuple[str, float]], success: float = 1.0, late: float = 0.0, factor: float = 1.0) -> float:
    """Return the strong share of the card."""
    chosen = CARD.choose(per_unit, np.array([success, 1.0]), np.array([late, 0.0]), {"strong": factor}, CARD.draws)
    return float((chosen == 0).mean())


@settings(max_examples=60, deadline=None)
@given(ratio_price, st.floats(0, 1), st.floats(0, 1), price)
def test_a_model_that_is_later_never_gets_more(mu: float, a: float, b: float, cost: float) -> None:
    punctual, late = sorted((a, b))
    per_unit = [("cost", cost), ("ttft", mu)]
    assert share(per_unit, late=late) <= share(per_unit, late=punctual)


@settings(max_examples=60, deadline=None)
@given(ratio_price, st.floats(0, 1), st.floats(0, 1), price)
def test_a_model_that_fails_more_never_gets_more(mu: float, a: float, b: float, cost: float) -> None:
    sick, well = sorted((a, b))
    per_unit = [("cost", cost), ("availability", mu)]
    assert share(per_unit, success=sick) <= share(per_unit, success=well)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.2, 5), st.floats(0.2, 5), price)
def test_a_model_that_bills_more_than_listed_never_gets_more(a: float, b: float, cost: float) -> None:
    cheap, dear = sorted((a, b))
    assert share([("cost", cost)], factor=dear) <= share([("cost", cost)], factor=cheap)


@settings(max_examples=60, deadline=None)
@given(st.lists(price, min_size=2, max_size=6), ratio_price)
def test_a_dearer_dollar_never_spends_more(prices: list[float], quality: float) -> None:
    spends = [mean_usd([CARD], [("cost", p), ("quality", quality)], {}) for p in sorted(prices)]
    assert all(after <= before + 1e-15 for before, after in pairwise(spends))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 50), st.floats(0.05, 0.95))
def test_every_share_can_be_bought_even_where_the_router_knows_nothing(seed: int, wanted: float) -> None:
    """One quality for all, one dollar figure for all, two class values: only values and the soft edge are left to split by."""
    rng = np.random.Generator(np.random.PCG64(seed))
    n = 2000
    blind = Card(("strong", "weak"), rng.choice([3.0, 1.0], n), np.tile([0.8, 0.6], (n, 1)), np.tile([0.010, 0.001], (n, 1)))
    target, low, high = 0.001 + wanted * 0.009, 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_usd([blind], [("cost", middle)], {}) > target else (low, middle)
    assert abs(mean_usd([blind], [("cost", high)], {}) - target) < 0.02 * target
