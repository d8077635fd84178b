"""Tests of SLOs as they are written."""

from typing import Any

import pytest

from gateway.config.objectives import CALENDAR, SloSection, parse_time
from gateway.config.plugins import SLI_KINDS, Chosen
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.ttft import Bin, Ttft
from gateway.core.budget.slo import Period

DAY_S = 86_400.0
AVAILABILITY = SLI_KINDS.default("availability")
COST = Chosen("cost", Cost.Options(usd=5.0))
UNSORTED = Chosen("ttft", Ttft.Options(8.0, (Bin(2000, 1.0), Bin(500, 2.0))))


def paths(**fields: Any) -> list[tuple[str | int, ...]]:
    written: dict[str, Any] = {"name": "a", "sli": AVAILABILITY, "objective": 0.9} | fields
    return [p.path for p in SloSection(**written).problems()]


@pytest.mark.parametrize(
    "fields",
    [
        {"window": 28 * DAY_S},
        {"window": 31 * DAY_S},
        {"period": "calendar-month", "timezone": "Europe/Berlin"},
        {"period": "8h", "anchor": "2026-01-01T06:00:00+02:00"},
        {"period": "calendar-week", "sli": COST, "objective": None, "on_exhausted": "alert"},
    ],
)
def test_ordinary_slos_are_right(fields: dict[str, Any]) -> None:
    assert paths(**fields) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, ()),
        ({"window": DAY_S, "period": "calendar-day"}, ("window",)),
        ({"window": 32 * DAY_S}, ("window",)),
        ({"period": "32d"}, ("period",)),
        ({"period": "monthly"}, ("period",)),
        ({"window": DAY_S, "objective": 1.0}, ("objective",)),
        ({"window": DAY_S, "objective": 0.0}, ("objective",)),
        ({"window": DAY_S, "objective": None}, ("objective",)),
        ({"window": DAY_S, "sli": COST}, ("objective",)),
        ({"window": DAY_S, "on_exhausted": "cheapest"}, ("on_exhausted",)),
        ({"window": DAY_S, "anchor": "2026-01-01T00:00:00Z"}, ("anchor",)),
        ({"period": "calendar-day", "anchor": "2026-01-01T00:00:00Z"}, ("anchor",)),
        ({"period": "8h", "anchor": "2026-01-01T00:00:00"}, ("anchor",)),
        ({"period": "8h", "timezone": "UTC"}, ("timezone",)),
        ({"period": "calendar-day", "timezone": "Mars/Olympus"}, ("timezone",)),
        ({"period": "calendar-day", "timezone": "../etc/passwd"}, ("timezone",)),
        ({"period": "calendar-day", "timezone": "Europe"}, ("timezone",)),
        ({"window": DAY_S, "name": "a b"}, ("name",)),
        ({"window": DAY_S, "sli": UNSORTED}, ("sli", "bins", 1, "prompt_tokens")),
    ],
)
def test_what_is_wrong_with_an_slo_is_said_at_its_key(fields: dict[str, Any], path: tuple[str | int, ...]) -> None:
    assert paths(**fields) == [path]


@pytest.mark.parametrize(
    ("fields", "length_s"), [({"window": 60.0}, 60.0), ({"period": "8h"}, 28_800.0), ({"period": "x"}, None), ({}, None)]
)
def test_the_length_is_known_when_it_can_be_read(fields: dict[str, Any], length_s: float | None) -> None:
    assert SloSection("a", AVAILABILITY, 0.9, **fields).length_s == length_s


@pytest.mark.parametrize("name", list(CALENDAR))
def test_calendar_periods_are_no_shorter_than_their_stated_length(name: str) -> None:
    period = Period(name.removeprefix("calendar-"), timezone="Europe/Berlin")
    for day in range(0, 730, 3):
        start, end = period.bounds(1_750_000_000.0 + day * DAY_S)
        assert end - start >= CALENDAR[name] - 3600.0  # Daylight saving time takes an hour from a day.


def test_times_need_a_zone() -> None:
    assert parse_time("1970-01-01T00:01:00Z") == 60.0
    assert parse_time("1970-01-01T01:00:00+01:00") == 0.0
    assert parse_time("1970-01-01T00:00:00") is None
    assert parse_time("soon") is None
