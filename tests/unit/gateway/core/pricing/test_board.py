"""What people and dashboards see."""

import json
from typing import Any

import pytest

from gateway.core.budget.alerts import Alerts
from gateway.core.budget.counts import Counts
from gateway.core.budget.ledger import Ledger
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import DAY_S, Period, Slo, SloSpec
from gateway.core.pricing.board import as_prices, board_of
from gateway.core.pricing.law import Ruling
from gateway.domain.event import NANO, Entry
from gateway.domain.prices import Price, Prices

T = 1_759_968_000.0  # 2025-10-09 00:00:00 UTC.
SPEND = Slo.of(SloSpec("spend", "cost", Cost.Options(86.4, 8640.0), period=Period("day")))
FLEET = Slo.of(SloSpec("availability", "availability", Availability.Options(), 0.99, 28 * DAY_S))
NOON = T + DAY_S / 2


def shown(*entries: tuple[float, list[Entry]], prices: tuple[Price, ...] = ()) -> dict[str, Any]:
    """Return the board at noon after some counting."""
    counts, ledger = Counts(), Ledger((SPEND, FLEET))
    for at_s, made in entries:
        counts.add(made, at_s)
    ledger.take({}, counts, NOON, is_first=True)
    judgements = ledger.judge(NOON, 0.1, 0.001)
    board = board_of(
        Prices(4, 1, "abc", NOON, "shadow_price", prices, alpha_ref={"auto": 0.4}, mode="thrifty"), judgements, counts, NOON, Alerts()
    )
    json.dumps(board)
    return board


def budget(board: dict[str, Any], name: str) -> dict[str, Any]:
    return next(b for b in board["budgets"] if b["slo"] == name)


def test_a_board_says_what_is_in_force() -> None:
    board = shown()
    assert {k: board[k] for k in ("made_wall_s", "law", "mode", "alpha_ref", "config_hash")} == {
        "made_wall_s": NOON, "law": "shadow_price", "mode": "thrifty", "alpha_ref": {"auto": 0.4}, "config_hash": "abc",
    }  # fmt: skip


def test_a_cost_budget_in_dollars_and_burn() -> None:
    # 7.2 dollars in the last hour, of a budget of 3.6 an hour.
    spent: list[Entry] = [("usd", round(7.2 * NANO)), ("est", round(0.9 * NANO)), ("n", 360), ("req", 360)]
    b = budget(shown((NOON - 1800, spent), prices=(Price("spend", "cost", 0.7, 0.01),)), "spend")
    assert b["spent_usd"] == pytest.approx(7.2) and b["budget_usd"] == 86.4 and b["estimated_usd"] == pytest.approx(0.9)
    assert b["burn"]["1h"] == pytest.approx(2.0) and b["burn"]["5m"] == 0.0 and b["burn"]["1d"] == pytest.approx(7.2 / 86.4)
    assert "3d" not in b["burn"]  # Longer than the period.
    assert b["price"] == 0.7 and b["price_unit"] == "mean request values per allowance"
    assert b["remaining"] == pytest.approx(1 - 7.2 / 86.4) and b["elapsed"] == 0.5 and b["period_ends_wall_s"] == T + DAY_S
    assert b["exhausts_wall_s"] == pytest.approx(NOON + 79.2 / 7.2 * 3600)
    assert b["arrived"] == b["samples"] == 360


def test_a_ratio_budget_in_events_and_burn() -> None:
    b = budget(
        shown((NOON - 7000, [(FLEET.valid_field, 900), ("n", 900)]), (NOON - 100, [(FLEET.valid_field, 100), (FLEET.bad_field, 5)])),
        "availability",
    )
    assert (b["bad"], b["valid"], b["objective"], b["window_s"]) == (5, 1000, 0.99, 28 * DAY_S)
    assert b["burn"]["5m"] == pytest.approx(5.0) and b["burn"]["2h"] == pytest.approx(0.5) and b["burn"]["3d"] == pytest.approx(0.5)
    assert b["period_ends_wall_s"] is None and b["price"] == 0.0


def test_no_events_are_no_data() -> None:
    board = shown()
    b = budget(board, "availability")
    assert set(b["burn"].values()) == {None} and b["projected"] is None and b["exhausts_wall_s"] is None and b["samples"] == 0
    assert budget(board, "spend")["exhausts_wall_s"] is None


def test_failures_at_the_present_rate_use_the_budget_up_at_a_known_time() -> None:
    made: list[tuple[float, list[Entry]]] = [(NOON - 1800, [(FLEET.valid_field, 1000), (FLEET.bad_field, 36), ("n", 1000)])]
    at_s = budget(shown(*made), "availability")["exhausts_wall_s"]
    # A filled window holds 0.1 requests a second of 28 days; when all of its share is bad, `remaining` is 0.
    left = 0.01 * 0.1 * 28 * DAY_S - 36
    assert at_s == pytest.approx(NOON + left / 0.01)


def test_what_ages_out_of_a_rolling_window_is_given_back() -> None:
    """1,500 of the 2,419 bad events that a window may hold are of its first day, 800 of yesterday; 0.01 come each second."""
    old = (NOON - 27.9 * DAY_S, [(FLEET.valid_field, 1500), (FLEET.bad_field, 1500)])
    yesterday = (NOON - DAY_S, [(FLEET.valid_field, 800), (FLEET.bad_field, 800)])
    now: tuple[float, list[Entry]] = (NOON - 1800, [(FLEET.valid_field, 360), (FLEET.bad_field, 36), ("n", 360)])
    at_s = budget(shown(old, yesterday, now), "availability")["exhausts_wall_s"]
    # Without the old ones 2,419 - 836 are left, for 1.8 days; with them it would be two hours.
    assert at_s == pytest.approx(NOON + (0.01 * 0.1 * 28 * DAY_S - 836) / 0.01, rel=0.001)


def test_a_budget_that_ages_out_as_fast_as_it_is_used_never_ends() -> None:
    made: list[tuple[float, list[Entry]]] = [
        (NOON - day * DAY_S + 1800, [(FLEET.valid_field, 8640), (FLEET.bad_field, 80), ("n", 8640)]) for day in range(1, 28)
    ]
    made.append((NOON - 1800, [(FLEET.valid_field, 360), (FLEET.bad_field, 3), ("n", 360)]))
    b = budget(shown(*made), "availability")
    assert 0.05 < b["remaining"] < 0.15 and b["exhausts_wall_s"] is None


def test_the_long_windows_of_monthly_reports_are_there() -> None:
    many: list[Entry] = [(FLEET.valid_field, 900), (FLEET.bad_field, 90)]
    b = budget(shown((NOON - 29 * DAY_S, many), (NOON - 1800, [(FLEET.valid_field, 100)])), "availability")
    assert list(b["burn"]) == ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "28d", "30d"]
    assert b["burn"]["28d"] == 0.0 and b["burn"]["30d"] == pytest.approx(9.0)


def test_an_outage_raises_an_alert_and_a_single_failure_none() -> None:
    outage: list[Entry] = [(FLEET.valid_field, 200), (FLEET.bad_field, 150)]
    usual: tuple[float, list[Entry]] = (NOON - 20 * DAY_S, [(FLEET.valid_field, 100_000), (FLEET.bad_field, 100)])
    assert budget(shown(usual, (NOON - 100, outage)), "availability")["alert"] == "page"
    assert budget(shown(usual, (NOON - 100, [(FLEET.valid_field, 1), (FLEET.bad_field, 1)])), "availability")["alert"] is None
    assert budget(shown(usual), "spend")["alert"] is None


def test_failures_at_less_than_the_allowed_pace_never_use_the_budget_up() -> None:
    few: list[Entry] = [(FLEET.valid_field, 360), (FLEET.bad_field, 3), ("n", 360)]
    assert budget(shown((NOON - 1800, few)), "availability")["exhausts_wall_s"] is None
    many: list[Entry] = [(FLEET.valid_field, 360), (FLEET.bad_field, 5), ("n", 360)]
    assert budget(shown((NOON - 1800, many)), "availability")["exhausts_wall_s"] is not None


def test_what_is_spent_does_not_run_out_once_more() -> None:
    spent: list[Entry] = [("usd", 90 * NANO), ("n", 360)]
    b = budget(shown((NOON - 1800, spent)), "spend")
    assert b["is_exhausted"] and b["exhausts_wall_s"] is None and b["remaining"] < 0


def test_traffic_of_the_last_hour_by_model_class_and_ending() -> None:
    lately: list[Entry] = [
        ("m.strong.n", 1), ("m.strong.usd", NANO // 2), ("m.strong.in", 99), ("m.gpt-4.1.n", 3), ("m.gpt-4.1.usd", 6),
        ("k.batch", 4), ("end.served", 3), ("end.upstream_cut", 1), ("shed.shed_overload.batch", 2),
    ]  # fmt: skip
    traffic = shown((NOON - 7200, [("m.strong.n", 100), ("k.batch", 100)]), (NOON - 60, lately))["traffic"]
    assert traffic["models"]["strong"] == {"requests": 1, "usd": 0.5, "share": 0.25}
    assert traffic["models"]["gpt-4.1"]["requests"] == 3  # A name with a dot in it.
    assert traffic["classes"] == {"batch": 4} and traffic["reasons"] == {"served": 3, "upstream_cut": 1}
    assert traffic["sheds"] == {"shed_overload.batch": 2} and traffic["window_s"] == 3600


def test_a_ruling_becomes_prices_in_the_judgements_order() -> None:
    ledger = Ledger((SPEND, FLEET))
    ledger.take({}, Counts(), NOON, is_first=True)
    judgements = ledger.judge(NOON, 0.1, 0.001)
    prices = as_prices(Ruling({"availability": 0.2, "spend": 0.7, "gone": 1.0}), judgements)
    assert [(p.slo, p.kind, p.value) for p in prices] == [("spend", "cost", 0.7), ("availability", "availability", 0.2)]
    assert [p.allowance for p in prices] == [j.allowance for j in judgements]
    assert [p.slo for p in as_prices(Ruling({"spend": 0.7}), judgements)] == ["spend"]
    held = as_prices(Ruling({"availability": 0.2}, allowances={"availability": 0.04}), judgements)
    assert [p.allowance for p in held] == [0.04]
