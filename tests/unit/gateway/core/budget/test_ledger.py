"""What is left of every budget, and what may be spent per request."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.budget.counts import Counts
from gateway.core.budget.ledger import CEILING, FLOOR, Judgement, Ledger
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec
from gateway.domain.event import MILLI, NANO

T = 1_759_968_000.0  # 2025-10-09 00:00:00 UTC.
DAY = Period("day")


def spend(usd: float = 100.0, forecast: float | None = 10_000.0, period: Period | None = DAY, route: str | None = None) -> Slo:
    return Slo.of(SloSpec("spend", "cost", Cost.Options(usd, forecast), window_s=None if period else 7 * DAY_S, period=period, route=route))


def availability(objective: float = 0.99, period: Period | None = DAY, window_s: float = 28 * DAY_S) -> Slo:
    return Slo.of(SloSpec("availability", "availability", Availability.Options(), objective, None if period else window_s, period))


def dollars(usd: float, requests: int = 0) -> dict[str, int]:
    return {"usd": round(usd * NANO), "n": requests, "req": requests}


class Books:
    """One ledger with its slots."""

    def __init__(self, *slos: Slo) -> None:
        self.slos, self.counts, self.ledger = slos, Counts(), Ledger(slos)

    def take(self, wall_s: float, fresh: dict[str, int], is_first: bool = False) -> None:
        self.counts.add(fresh.items(), wall_s)
        self.ledger.take(fresh, self.counts, wall_s, is_first=is_first)

    def judge(self, wall_s: float, rate: float = 0.1, cheapest_usd: float = 0.0, delay_s: float = 0.0) -> Judgement:
        return self.ledger.judge(wall_s, rate, cheapest_usd, delay_s)[0]

    def events(self, wall_s: float, valid: int, bad: int = 0, is_first: bool = False) -> None:
        slo = self.slos[0]
        self.take(wall_s, {slo.valid_field: valid, slo.bad_field: bad, "n": valid, "req": valid}, is_first)


def test_what_came_while_the_slots_were_read_is_in_the_account_once() -> None:
    """An event can be in the hour's slot and not yet in its finer ones; increments, told by hours, will not name it again."""
    counts, wall_s = Counts(), T + 1800.0
    slots = [(width, int(wall_s // width), dollars(amount, 9)) for width, amount in ((10, 4.0), (300, 4.0), (3600, 5.0))]
    counts.update(slots)
    ledger = Ledger([spend()])
    ledger.take({}, counts, wall_s, is_first=True)
    fresh = counts.update([(10, slots[0][1], dollars(5.0, 9)), (300, slots[1][1], dollars(5.0, 9)), (3600, slots[2][1], dollars(5.5, 9))])
    ledger.take(fresh, counts, wall_s + 5.0, is_first=False)
    assert next(iter(ledger.accounts.values())).bad == pytest.approx(5.5)


# -- cost --------------------------------------------------------------------------------------------------------------


def test_at_the_start_a_request_may_cost_its_even_share() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    j = books.judge(T)
    assert (j.fair, j.remaining, j.elapsed) == (0.01, 1.0, 0.0) and j.allowance == pytest.approx(0.01)


def test_half_the_day_at_double_pace_leaves_what_is_over() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S / 2, dollars(80.0, 5_000))
    j = books.judge(T + DAY_S / 2)
    assert j.left == pytest.approx(5_000) and j.allowance == pytest.approx(20 / 5_000)
    assert j.remaining == pytest.approx(0.2) and not j.is_exhausted
    assert j.projected == pytest.approx((80 + 80 / 5_000 * 5_000) / 100)


def test_a_quiet_morning_is_not_wasted() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S / 2, dollars(20.0, 5_000))
    assert books.judge(T + DAY_S / 2).allowance == pytest.approx(80 / 5_000)


def test_requests_that_are_in_flight_will_spend_what_the_others_may() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S / 2, dollars(40.0, 4_000) | {"req": 5_000})
    j = books.judge(T + DAY_S / 2)
    assert j.left == pytest.approx(5_000) and j.allowance == pytest.approx(60 / (5_000 + 1_000))
    assert j.projected == pytest.approx((40 + 40 / 4_000 * 6_000) / 100)


def test_requests_that_nobody_has_told_yet_will_spend_what_the_others_may() -> None:
    """At 0.1 a second, 5,000 s of delay hide 500 requests: they count as arrived, and their dollars are kept for them."""
    books = Books(spend())
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S / 2, dollars(45.0, 4_500))
    j = books.judge(T + DAY_S / 2, delay_s=5_000.0)
    assert j.left == pytest.approx(5_000, rel=1e-6) and j.allowance == pytest.approx(55 / 5_500)
    assert books.judge(T + DAY_S / 2).allowance > j.allowance


def test_a_period_that_has_just_begun_hides_no_more_than_it_had() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    assert books.judge(T, delay_s=600.0).allowance == pytest.approx(0.01)
    books.take(T + 10, dollars(1.0, 9) | {"req": 4})  # Five of them came before the period began.
    assert books.judge(T + 10, delay_s=600.0).to_come == pytest.approx(books.judge(T + 10, delay_s=10.0).to_come)
    assert books.judge(T + 10).to_come == pytest.approx(books.judge(T + 10).left)


def test_a_budget_spent_early_still_allows_a_fifth_of_the_even_share() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S / 2, dollars(110.0, 5_000))
    j = books.judge(T + DAY_S / 2)
    assert j.allowance == pytest.approx(FLOOR * 0.01) and j.is_exhausted and j.remaining == pytest.approx(-0.1)


def test_an_untouched_budget_allows_at_most_five_even_shares() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    books.take(T + 0.99 * DAY_S, dollars(1.0, 9_900))
    assert books.judge(T + 0.99 * DAY_S).allowance == pytest.approx(CEILING * 0.01)


def test_nothing_is_cheaper_than_the_cheapest_model() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    j = books.judge(T, cheapest_usd=0.02)
    assert j.allowance == 0.02 and j.is_short
    assert not books.judge(T, cheapest_usd=0.005).is_short
    dear = books.judge(T, cheapest_usd=0.09)
    assert dear.allowance == 0.09  # Above five even shares: the floor wins over the ceiling.


def test_without_a_forecast_the_recent_rate_is_planned_for() -> None:
    books = Books(spend(forecast=None))
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S / 2, dollars(50.0, 1_000))
    j = books.judge(T + DAY_S / 2, rate=0.1)
    assert j.left == pytest.approx(4_320) and j.fair == pytest.approx(100 / 5_320) and j.allowance == pytest.approx(50 / 4_320)


def test_a_rolling_budget_counts_what_ages_out_while_it_plans() -> None:
    books = Books(spend(period=None, forecast=None))
    books.counts.add(dollars(30.0, 300).items(), T - 6.5 * DAY_S)  # Out of the window before a quarter of it has passed.
    books.counts.add(dollars(20.0, 200).items(), T - 1 * DAY_S)
    books.ledger.take({}, books.counts, T, is_first=True)
    j = books.judge(T, rate=0.001)
    assert j.bad == pytest.approx(50.0) and j.left == pytest.approx(0.001 * 7 * DAY_S / 4)
    assert j.allowance == pytest.approx((100 - 20) / j.left)


def test_a_routes_budget_plans_with_that_routes_part_of_the_traffic() -> None:
    books = Books(spend(forecast=None, route="auto"))
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S / 2, {"n": 1000, "r.auto.n": 250, "r.auto.req": 250, "r.auto.usd": 10 * NANO})
    assert books.judge(T + DAY_S / 2, rate=0.4).left == pytest.approx(0.1 * DAY_S / 2)


# -- ratios ------------------------------------------------------------------------------------------------------------


def test_without_events_the_allowance_is_the_objectives_own() -> None:
    books = Books(availability())
    books.events(T, 0, is_first=True)
    j = books.judge(T)
    assert j.allowance == pytest.approx(0.01) and j.remaining == 1.0 and not j.is_exhausted and j.projected is None


def test_a_clean_morning_leaves_twice_the_failures_for_the_afternoon() -> None:
    books = Books(availability())
    books.events(T, 0, is_first=True)
    books.events(T + DAY_S / 2, 4_320)
    j = books.judge(T + DAY_S / 2, rate=0.1)
    assert j.to_come == pytest.approx(4_320) and j.allowance == pytest.approx(0.02)


def test_a_bad_morning_is_made_up_for_within_a_factor_of_five() -> None:
    books = Books(availability())
    books.events(T, 0, is_first=True)
    books.events(T + DAY_S / 2, 4_320, bad=60)
    j = books.judge(T + DAY_S / 2, rate=0.1)
    assert j.allowance == pytest.approx((0.01 * 8_640 - 60) / 4_320)
    assert j.remaining == pytest.approx(1 - 60 / 86.4) and not j.is_exhausted
    books.events(T + DAY_S / 2 + 10, 30, bad=30)
    j = books.judge(T + DAY_S / 2 + 10, rate=0.1)
    assert j.allowance == pytest.approx(FLOOR * 0.01) and j.is_exhausted


def test_of_what_is_to_come_only_as_many_are_valid_events_as_were_so_far() -> None:
    books = Books(availability())
    books.events(T, 0, is_first=True)
    books.events(T + DAY_S / 2, 1_080)
    books.take(T + DAY_S / 2, {"n": 3_240, "req": 3_240})
    assert books.judge(T + DAY_S / 2, rate=0.1).to_come == pytest.approx(4_320 / 4)


def test_one_failure_among_the_first_requests_exhausts_nothing() -> None:
    for slo in (availability(0.999), availability(0.999, period=None)):
        books = Books(slo)
        books.events(T, 0, is_first=True)
        books.events(T + 5, 10, bad=1)
        j = books.judge(T + 5, rate=2.0)
        assert j.remaining > 0.98 and not j.is_exhausted, slo.spec


def test_a_full_rolling_window_is_judged_by_its_own_events() -> None:
    books = Books(availability(0.99, period=None, window_s=DAY_S))
    for hour in range(24):
        books.counts.add([(books.slos[0].valid_field, 360), ("n", 360)], T - DAY_S + 3600 * hour)
    books.counts.add([(books.slos[0].bad_field, 70)], T - DAY_S / 2)
    books.ledger.take({}, books.counts, T, is_first=True)
    assert books.judge(T, rate=0.1).remaining == pytest.approx(1 - 70 / 86.4)
    assert books.judge(T, rate=0.0).remaining == pytest.approx(1 - 70 / 86.4)


def test_old_failures_leave_a_rolling_window() -> None:
    books = Books(availability(0.99, period=None, window_s=DAY_S))
    books.events(T, 100, bad=50, is_first=True)
    assert books.judge(T + 1).bad == 50
    books.events(T + DAY_S - 3600, 100)
    assert books.judge(T + DAY_S - 3600).bad == 50
    books.events(T + DAY_S + 3600, 100)
    j = books.judge(T + DAY_S + 3600)
    assert (j.bad, j.valid) == (0, 200)


# -- accounts ----------------------------------------------------------------------------------------------------------


def test_a_new_period_starts_anew() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S - 5, dollars(99.0, 9_000))
    books.take(T + DAY_S + 5, dollars(1.0, 100))
    j = books.judge(T + DAY_S + 5)
    assert (j.bad, j.valid, j.arrived) == (1.0, 100, 100) and j.ends_s == T + 2 * DAY_S
    assert j.fresh_bad == 1.0 and j.fresh_valid == 100


def test_taking_over_sums_what_is_in_the_slots_and_counts_nothing_as_news() -> None:
    books = Books(spend(), availability())
    books.counts.add([*dollars(40.0, 3_000).items(), (books.slos[1].valid_field, 3_000), (books.slos[1].bad_field, 7)], T + 3600)
    everything = {"usd": 40 * NANO, "n": 3_000, "req": 3_000}
    books.ledger.take(everything, books.counts, T + 7200, is_first=True)
    cost, ratio = books.ledger.judge(T + 7200, 0.1, 0.0)
    assert (cost.bad, cost.valid, cost.fresh_bad, cost.fresh_valid) == (40.0, 3_000, 0, 0)
    assert (ratio.bad, ratio.valid) == (7, 3_000)


def test_increments_and_sums_agree() -> None:
    stepped, summed = Books(spend()), Books(spend())
    stepped.take(T, {}, is_first=True)
    for i in range(1, 200):
        stepped.take(T + 30 * i, dollars(0.01 * i, 3))
    summed.ledger.take({}, stepped.counts, T + 30 * 199, is_first=True)
    a, b = stepped.judge(T + 30 * 199), summed.judge(T + 30 * 199)
    assert a.bad == pytest.approx(b.bad) and (a.valid, a.arrived) == (b.valid, b.arrived)


def test_a_period_set_out_in_the_middle_of_a_slot_keeps_its_first_dollars_over_a_take_over() -> None:
    books = Books(spend(period=Period("fixed", length_s=311.5, anchor_wall_s=T + 6.6)))
    books.take(T + 6.6, {}, is_first=True)
    books.take(T + 9.0, dollars(1.0, 10))
    books.take(T + 15.0, dollars(2.0, 20))
    before = books.judge(T + 15.0)
    books.ledger.take({}, books.counts, T + 20.0, is_first=True)
    assert books.judge(T + 20.0).bad == before.bad == 3.0


def test_twenty_minutes_without_anybody_leave_the_account_of_an_odd_period_as_it_was() -> None:
    books = Books(spend(period=Period("fixed", length_s=3_600.0, anchor_wall_s=T + 131.0)))
    books.take(T + 130.0, {}, is_first=True)
    for i in range(80):
        books.take(T + 135.0 + 10 * i, dollars(0.1, 1))
    before = books.judge(T + 930.0).bad
    heir = Books(*books.slos)
    heir.counts, heir.ledger.openings = books.counts, books.ledger.openings
    heir.take(T + 2_130.0, dollars(0.1, 1))
    heir.ledger.take({}, heir.counts, T + 2_135.0, is_first=True)
    assert heir.judge(T + 2_135.0).bad == pytest.approx(before + 0.1)


def test_an_opening_is_not_remembered_where_late_verdicts_still_change_it() -> None:
    odd = Period("fixed", length_s=3_600.0, anchor_wall_s=T + 130.0)
    judged = Slo.of(SloSpec("quality", "quality", Quality.Options(), 0.8, period=odd))
    books = Books(judged, spend(period=odd))
    for i in range(100):
        books.take(T + 135.0 + 10 * i, dollars(0.1, 1), is_first=i == 0)
    assert list(books.ledger.openings) == [books.slos[1].id]


def test_an_slo_that_a_config_edit_added_is_summed_from_the_slots() -> None:
    books = Books(spend())
    books.take(T, dollars(5.0, 50), is_first=True)
    hourly = Slo.of(SloSpec("hourly", "cost", Cost.Options(7.0), period=Period("hour")))
    books.ledger.slos = (*books.slos, hourly)
    books.take(T + 60, dollars(1.0, 10))
    assert [j.bad for j in books.ledger.judge(T + 60, 0.1, 0.0)] == [6.0, 6.0]


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(0, 300), st.integers(0, 40_000), st.floats(0, 5), st.floats(0, 0.05))
def test_a_cost_allowance_stays_within_its_clips(elapsed: float, usd: float, n: int, rate: float, cheapest: float) -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    wall_s = T + elapsed * 0.999 * DAY_S
    books.take(wall_s, dollars(usd, n))
    j = books.judge(wall_s, rate, cheapest)
    assert max(FLOOR * j.fair, cheapest) <= j.allowance <= max(CEILING * j.fair, cheapest)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10_000), st.integers(0, 500), st.integers(0, 500), st.floats(0, 2))
def test_more_failures_never_allow_more(valid: int, a: int, b: int, rate: float) -> None:
    few, many = sorted((min(a, valid), min(b, valid)))
    judged = []
    for bad in (few, many):
        books = Books(availability())
        books.events(T, 0, is_first=True)
        books.events(T + 3600, valid, bad)
        judged.append(books.judge(T + 3600, rate))
    assert judged[0].allowance >= judged[1].allowance and judged[0].remaining >= judged[1].remaining
    assert all(FLOOR * 0.01 - 1e-12 <= j.allowance <= CEILING * 0.01 + 1e-12 for j in judged)


# -- verdicts ----------------------------------------------------------------------------------------------------------


def quality(period: Period | None = DAY) -> Slo:
    return Slo.of(SloSpec("quality", "quality", Quality.Options(), 0.8, None if period else 7 * DAY_S, period))


def told(slo: Slo, verdicts: int, bad: int, weight: int = 1000) -> dict[str, int]:
    assert slo.evidence_field is not None
    return {slo.evidence_field: verdicts, slo.valid_field: verdicts * weight, slo.bad_field: bad * weight, "n": verdicts}


def test_verdicts_count_by_their_weight_and_say_nothing_below_two_hundred() -> None:
    slo = quality()
    books = Books(slo)
    books.take(T, {}, is_first=True)
    books.take(T + 100, told(slo, 199, 199, weight=2500))
    j = books.judge(T + 100, rate=0.0)
    assert (j.valid, j.bad, j.fresh_bad) == (497.5, 497.5, 497.5)
    assert not j.has_data and not j.is_exhausted and j.remaining < 0 and j.projected is None
    books.take(T + 200, told(slo, 1, 1))
    j = books.judge(T + 200, rate=0.0)
    assert j.has_data and j.is_exhausted and j.valid == 498.5 and j.projected is not None


def test_a_late_verdict_belongs_to_the_period_of_its_request() -> None:
    slo = quality()
    books = Books(slo)
    books.take(T, {}, is_first=True)
    books.take(T + DAY_S - 5, told(slo, 300, 10))
    books.take(T + DAY_S + 5, told(slo, 10, 1))
    late = told(slo, 5, 5)
    books.counts.add(late.items(), T + 3600)  # Yesterday's request, told today.
    books.ledger.take(late, books.counts, T + DAY_S + 10, is_first=False)
    books.take(T + DAY_S + 70, {})
    j = books.judge(T + DAY_S + 70)
    assert (j.valid, j.bad) == (10, 1)


def test_events_without_weights_have_data_from_the_first_on() -> None:
    books = Books(availability())
    books.events(T, 0, is_first=True)
    assert not books.judge(T).has_data
    books.events(T + 10, 1)
    assert books.judge(T + 10).has_data


# -- rhythm ------------------------------------------------------------------------------------------------------------


def test_after_a_week_the_hours_of_the_week_say_what_is_to_come() -> None:
    """At noon of a day whose second half is quiet, the recent rate would plan for three times too much."""
    books = Books(spend(forecast=None))
    for hour in range(14 * 24):
        busy = hour % 24 < 12
        at_s = T - 14 * DAY_S + 3600.0 * hour
        books.counts.add({"req": 300 if busy else 60, "n": 300 if busy else 60}.items(), at_s + 5)
    for hour in range(12):
        books.counts.add({"req": 300, "n": 300}.items(), T + 3600.0 * hour + 5)
    books.ledger.take({}, books.counts, T + DAY_S / 2, is_first=True)
    j = books.judge(T + DAY_S / 2, rate=300 / 3600)
    assert j.level == pytest.approx(1.0, abs=0.02) and j.left == pytest.approx(12 * 60, rel=0.03)


def test_an_operators_forecast_goes_before_what_was_learned_and_before_a_week_there_is_only_the_rate() -> None:
    for slo, weeks in ((spend(), 2), (spend(forecast=None), 0.5)):
        books = Books(slo)
        for hour in range(int(weeks * 168)):
            books.counts.add({"req": 100}.items(), T - 3600.0 * hour - 5)
        books.ledger.take({}, books.counts, T + DAY_S / 2, is_first=True)
        assert books.judge(T + DAY_S / 2).level is None


def test_predictions_are_summed_beside_verdicts_and_age_out_like_them() -> None:
    slo = Slo.of(SloSpec("quality", "quality", Quality.Options(), 0.8, window_s=28 * DAY_S))
    scored, lost = slo.scored_field, slo.lost_field
    books = Books(slo)
    for day, bad in ((0, 50), (20, 30)):
        books.counts.add([(scored, 100), (lost, bad * MILLI)], T + day * DAY_S)
    books.take(T + 21 * DAY_S, {}, is_first=True)
    j = books.judge(T + 21 * DAY_S)
    assert (j.scored, j.predicted) == (200, 80)
    books.take(T + 21 * DAY_S + 5, {scored: 10, lost: 3 * MILLI})
    j = books.judge(T + 21 * DAY_S + 5)
    assert (j.scored, j.predicted, j.fresh_scored, j.fresh_predicted) == (210, 83, 10, 3)
    books.take(T + 26 * DAY_S, {}, is_first=True)  # In a quarter of the window day 0 will have left it.
    assert books.judge(T + 26 * DAY_S).predicted == pytest.approx(33)


# -- clocks and calendars ----------------------------------------------------------------------------------------------


def test_a_month_of_745_hours_is_summed_to_its_last_hour() -> None:
    month = Period("month", timezone="Europe/Berlin")
    start, end = month.bounds(T)  # October: 31 days, and clocks go back.
    assert end - start == 745 * 3600
    books = Books(spend(usd=100.0, forecast=None, period=month))
    for hour in range(745):
        books.counts.add(dollars(0.1, 10).items(), start + 3600 * hour + 1800)
    books.ledger.take({}, books.counts, end - 1, is_first=True)
    j = books.judge(end - 1, rate=10 / 3600)
    assert (j.bad, j.valid, j.ends_s, j.length_s) == (pytest.approx(74.5), 7450, end, 745 * 3600)
    assert j.elapsed == pytest.approx(1.0, abs=1e-5) and j.remaining == pytest.approx(0.255)
    books.ledger.take({}, books.counts, end + 1, is_first=False)
    assert books.judge(end + 1).bad == 0.0


def test_a_clock_that_jumps_finds_the_period_and_window_of_where_it_landed() -> None:
    day, week = spend(), availability(period=None, window_s=7 * DAY_S)
    books = Books(day, week)
    books.counts.add([*dollars(30.0, 300).items(), (week.valid_field, 300), (week.bad_field, 3)], T - DAY_S / 2)
    books.counts.add([*dollars(10.0, 100).items(), (week.valid_field, 100), (week.bad_field, 1)], T + 3600)
    books.ledger.take({}, books.counts, T + 7200, is_first=True)
    assert [j.bad for j in books.ledger.judge(T + 7200, 0.1, 0.0)] == [10.0, 4]
    books.ledger.take({}, books.counts, T - 3600, is_first=False)  # Set back over midnight: that day's account again.
    assert books.ledger.judge(T - 3600, 0.1, 0.0)[0].bad == 30.0
    books.ledger.take({}, books.counts, T + 400 * DAY_S, is_first=False)
    assert [(j.bad, j.valid) for j in books.ledger.judge(T + 400 * DAY_S, 0.1, 0.0)] == [(0.0, 0), (0, 0)]
    books.ledger.take({}, books.counts, T + 7200, is_first=False)
    assert [j.bad for j in books.ledger.judge(T + 7200, 0.1, 0.0)] == [10.0, 4]


def test_a_writer_that_was_suspended_for_hours_counts_everything_once() -> None:
    books = Books(spend(), availability(period=None))
    books.take(T, {}, is_first=True)
    books.take(T + 3 * 3600, dollars(40.0, 4000) | {books.slos[1].valid_field: 4000, books.slos[1].bad_field: 9})
    cost, ratio = books.ledger.judge(T + 3 * 3600, 0.4, 0.0)
    assert (cost.bad, cost.valid, ratio.bad, ratio.valid) == (40.0, 4000, 9, 4000)


def test_what_is_spent_beyond_the_budget_stays_finite_and_says_so() -> None:
    books = Books(spend())
    books.take(T, {}, is_first=True)
    books.take(T + 100, dollars(1e9, 10))
    j = books.judge(T + 100)
    assert (
        j.is_exhausted
        and j.remaining == pytest.approx(1 - 1e7)
        and j.allowance == pytest.approx(FLOOR * j.fair)
        and j.projected is not None
    )
