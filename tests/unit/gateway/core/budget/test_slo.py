"""Objectives, their identity, and the stretches of time over which they are kept."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.ttft import Bin, Ttft
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec, build, scoped

BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def hours(bounds: tuple[float, float]) -> float:
    return (bounds[1] - bounds[0]) / 3600


# -- periods -----------------------------------------------------------------------------------------------------------


def test_a_day_begins_at_local_midnight() -> None:
    start, end = Period("day", timezone=BERLIN).bounds(at("2026-07-09T15:30:00+02:00"))
    assert (start, end) == (at("2026-07-09T00:00:00+02:00"), at("2026-07-10T00:00:00+02:00"))


def test_the_day_on_which_clocks_go_forward_has_23_hours() -> None:
    day = Period("day", timezone=BERLIN)
    for moment in ("2026-03-29T00:00:00+01:00", "2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T23:59:59+02:00"):
        assert day.bounds(at(moment)) == (at("2026-03-29T00:00:00+01:00"), at("2026-03-30T00:00:00+02:00"))
    assert hours(day.bounds(at("2026-03-29T12:00:00+02:00"))) == 23


def test_the_day_on_which_clocks_go_back_has_25_hours() -> None:
    day = Period("day", timezone=BERLIN)
    for moment in ("2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T23:59:59+01:00"):
        assert day.bounds(at(moment)) == (at("2026-10-25T00:00:00+02:00"), at("2026-10-26T00:00:00+01:00"))
    assert hours(day.bounds(at("2026-10-25T12:00:00+01:00"))) == 25


def test_a_midnight_that_occurs_twice_begins_one_day() -> None:
    havana = Period("day", timezone="America/Havana")  # At one o'clock it is midnight again.
    start = at("2026-11-01T00:00:00-04:00")
    assert havana.bounds(at("2026-11-01T00:30:00-04:00"))[0] == start
    assert havana.bounds(at("2026-11-01T00:30:00-05:00")) == (start, start + 25 * 3600)


def test_both_hours_between_two_and_three_are_periods_of_their_own() -> None:
    hour = Period("hour", timezone=BERLIN)
    first, second = hour.bounds(at("2026-10-25T02:30:00+02:00")), hour.bounds(at("2026-10-25T02:30:00+01:00"))
    assert first == (at("2026-10-25T02:00:00+02:00"), at("2026-10-25T02:00:00+01:00"))
    assert second == (first[1], first[1] + 3600)


def test_an_hour_begins_where_its_zone_says() -> None:
    assert Period("hour", timezone="Asia/Kolkata").bounds(at("2026-01-01T10:45:00+00:00"))[0] == at("2026-01-01T10:30:00+00:00")


def test_an_hours_start_does_not_move_while_it_lasts() -> None:
    starts = {Period("hour").bounds(1_700_000_000.0 + 0.123_456_7 * i)[0] for i in range(1000)}
    assert starts == {1_699_999_200.0}


@pytest.mark.parametrize(
    ("month", "days"), [("2026-02", 28), ("2028-02", 29), ("2026-04", 30), ("2026-01", 31), ("2026-12", 31), ("2026-07", 31)]
)
def test_months_have_28_to_31_days(month: str, days: int) -> None:
    start, end = Period("month").bounds(at(f"{month}-15T12:00:00+00:00"))
    assert start == at(f"{month}-01T00:00:00+00:00") and end - start == days * DAY_S
    assert Period("month").bounds(start) == (start, end) and Period("month").bounds(end)[0] == end
    assert Period("month").bounds(end - 0.001) == (start, end)


def test_a_month_of_31_days_with_a_clock_change_has_743_or_745_hours() -> None:
    month = Period("month", timezone=BERLIN)
    assert hours(month.bounds(at("2026-03-15T12:00:00+01:00"))) == 743
    assert hours(month.bounds(at("2026-10-15T12:00:00+02:00"))) == 745


def test_a_week_begins_on_monday() -> None:
    week = Period("week", timezone=BERLIN)
    start, end = week.bounds(at("2026-03-29T12:00:00+02:00"))  # A Sunday, and clocks go forward.
    assert (start, end) == (at("2026-03-23T00:00:00+01:00"), at("2026-03-30T00:00:00+02:00"))
    assert week.bounds(end)[0] == end


def test_a_fixed_period_is_counted_from_its_anchor_both_ways() -> None:
    shift = Period("fixed", length_s=8 * 3600.0, anchor_wall_s=at("2026-01-01T06:00:00+00:00"))
    assert shift.bounds(at("2026-01-01T13:59:59+00:00"))[0] == at("2026-01-01T06:00:00+00:00")
    assert shift.bounds(at("2026-01-01T14:00:00+00:00"))[0] == at("2026-01-01T14:00:00+00:00")
    assert shift.bounds(at("2026-01-01T05:00:00+00:00"))[0] == at("2025-12-31T22:00:00+00:00")


@settings(max_examples=100, deadline=None)
@given(st.floats(1.0, 1e6), st.floats(0, 2e9), st.floats(1_000_000_000, 2_000_000_000))
def test_fixed_periods_begin_with_a_slot_of_counts_and_leave_no_gap(length_s: float, anchor_s: float, wall_s: float) -> None:
    period = Period("fixed", length_s=length_s, anchor_wall_s=anchor_s)
    start, end = period.bounds(wall_s)
    assert start <= wall_s < end
    assert start % 10 == 0
    assert end % 10 == 0
    assert period.bounds(end)[0] == end


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo"]),
    st.floats(1_000_000_000, 2_000_000_000),
)
def test_periods_hold_their_moment_and_leave_no_gap(unit: str, zone: str, wall_s: float) -> None:
    period = Period(unit, timezone=zone)
    start, end = period.bounds(wall_s)
    assert start <= wall_s < end
    if unit != "hour":
        assert period.bounds(end)[0] == end
        assert period.bounds(start) == (start, end)
        assert datetime.fromtimestamp(start, ZoneInfo(zone)).hour in (0, 1)  # 1: where clocks skip midnight.


def test_an_unknown_zone_is_an_error_not_utc() -> None:
    with pytest.raises(KeyError):
        Period("day", timezone="Mars/Olympus").bounds(0.0)


# -- identity ----------------------------------------------------------------------------------------------------------


def ttft(at_most: float = 1.0, objective: float = 0.95, name: str = "first-token", route: str | None = None) -> Slo:
    return Slo.of(SloSpec(name, "ttft", Ttft.Options(at_most), objective, window_s=28 * DAY_S, route=route))


def test_a_changed_objective_keeps_its_counts() -> None:
    assert ttft(objective=0.95).id == ttft(objective=0.99).id
    assert ttft(objective=0.95).bad_field == ttft(objective=0.99).bad_field


def test_a_changed_window_keeps_its_counts() -> None:
    other = Slo.of(SloSpec("first-token", "ttft", Ttft.Options(1.0), 0.95, period=Period("month")))
    assert other.id == ttft().id


@pytest.mark.parametrize("changed", [ttft(at_most=2.0), ttft(name="other"), ttft(route="auto")])
def test_a_changed_definition_starts_as_no_data(changed: Slo) -> None:
    assert changed.id != ttft().id
    assert {changed.valid_field, changed.bad_field}.isdisjoint({ttft().valid_field, ttft().bad_field})


def test_another_kind_under_the_same_name_has_counters_of_its_own() -> None:
    other = Slo.of(SloSpec("first-token", "availability", Availability.Options(), 0.95, window_s=28 * DAY_S))
    assert other.id != ttft().id


def cost(usd: float = 5000.0, forecast: float | None = None, route: str | None = None) -> Slo:
    return Slo.of(SloSpec("spend", "cost", Cost.Options(usd, forecast), period=Period("month"), route=route))


def test_a_raised_cost_budget_keeps_the_dollars_already_spent() -> None:
    assert (cost(5000).valid_field, cost(5000).bad_field) == (cost(9000, 1e6).valid_field, cost(9000, 1e6).bad_field) == ("n", "usd")
    assert cost(5000).id == cost(9000).id


def test_a_routes_cost_counts_that_routes_dollars() -> None:
    assert (cost(route="auto").valid_field, cost(route="auto").bad_field) == ("r.auto.n", "r.auto.usd")
    assert scoped("req", None) == "req" and scoped("req", "auto") == "r.auto.req"


def test_counter_names_do_not_change_between_builds() -> None:
    """They lie in stores: another name would start every budget anew."""
    assert ttft().id == "9ad3a4c991"
    assert ttft().valid_field == f"s.{ttft().id}.n" and ttft().bad_field == f"s.{ttft().id}.x"


def test_the_bad_share_is_what_the_objective_leaves() -> None:
    assert ttft(objective=0.95).bad_ratio == pytest.approx(0.05)
    assert ttft(objective=0.9999).bad_ratio == pytest.approx(0.0001)


def test_a_rolling_window_ends_now() -> None:
    assert ttft().bounds(10_000_000.0) == (10_000_000.0 - 28 * DAY_S, 10_000_000.0)
    assert cost().bounds(at("2026-02-10T00:00:00+00:00"))[0] == at("2026-02-01T00:00:00+00:00")


def test_slos_keep_the_operators_order() -> None:
    specs = [cost().spec, ttft().spec]
    assert [s.spec.name for s in build(specs)] == ["spend", "first-token"]
    assert [s.sli.kind for s in build(specs)] == ["cost", "ttft"]


def test_a_week_is_seven_days_of_its_zone() -> None:
    start, end = Period("week").bounds(at("2026-06-10T00:00:00+00:00"))
    assert datetime.fromtimestamp(end, UTC) - datetime.fromtimestamp(start, UTC) == timedelta(days=7)


def test_limits_by_length_are_another_definition() -> None:
    binned = Slo.of(SloSpec("first-token", "ttft", Ttft.Options(1.0, (Bin(2000, 0.5),)), 0.95, window_s=28 * DAY_S))
    assert binned.id != ttft().id


# -- what has no meaning -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [None, 0.0, 1.0, -0.1, 1.5, float("nan")])
def test_an_objective_lies_between_nothing_and_everything(objective: float | None) -> None:
    with pytest.raises(ValueError, match="objective"):
        Slo.of(SloSpec("a", "availability", Availability.Options(), objective, DAY_S))


@pytest.mark.parametrize("usd", [0.0, -5.0, float("nan"), float("inf")])
def test_a_budget_is_some_dollars(usd: float) -> None:
    with pytest.raises(ValueError, match="dollars"):
        Slo.of(SloSpec("a", "cost", Cost.Options(usd), period=Period("day")))


def test_a_stretch_of_time_is_one_of_two_kinds_and_has_a_length() -> None:
    with pytest.raises(ValueError, match="either"):
        Slo.of(SloSpec("a", "availability", Availability.Options(), 0.9, DAY_S, Period("day")))
    for window_s in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="length"):
            Slo.of(SloSpec("a", "availability", Availability.Options(), 0.9, window_s))


def test_two_of_one_name_could_not_be_told_apart() -> None:
    one = SloSpec("a", "availability", Availability.Options(), 0.9, DAY_S)
    with pytest.raises(ValueError, match="called a"):
        build([one, SloSpec("a", "ttft", Ttft.Options(1.0), 0.9, DAY_S)])
    assert [s.spec.name for s in build([one])] == ["a"]
