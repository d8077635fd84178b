"""Comparison of two results, in points."""

import pytest

from load.compare import differences, is_within, table
from load.result import SERVED, Result, Row


def result(strong: int, weak: int, failed: int = 0, kind: str = "run", budget_usd: float | None = 10.0) -> Result:
    rows = [Row(0.0, "standard", "strong", SERVED, 0.2, 1.0, usd=0.1) for _ in range(strong)]
    rows += [Row(0.0, "batch", "weak", SERVED, None, 1.0, usd=0.05) for _ in range(weak)]
    rows += [Row(0.0, "batch", None, "upstream_cut", None, 1.0) for _ in range(failed)]
    return Result("s", kind, "static", 60.0, budget_usd, "strong", 1.0, rows, [])


def test_differences_are_points_of_first_minus_second() -> None:
    gaps = differences(result(50, 50), result(40, 60, kind="sim"))
    assert gaps["strong_share"] == pytest.approx(10.0)
    assert gaps["spend_over_budget"] == pytest.approx(5.0)
    assert gaps["availability"] == pytest.approx(0.0)


def test_within_holds_for_all_three_ratios_at_once() -> None:
    assert is_within(result(50, 50), result(48, 52), 3.0)
    assert not is_within(result(50, 50), result(40, 60), 3.0)
    assert not is_within(result(50, 50), result(50, 50, failed=10), 3.0)


def test_no_data_is_not_within() -> None:
    assert not is_within(result(50, 50, budget_usd=None), result(50, 50), 3.0)


def test_the_table_shows_both_and_the_difference() -> None:
    lines = table(result(50, 50), result(40, 60, kind="sim")).splitlines()
    assert "run static" in lines[1]
    assert "sim static" in lines[1]
    assert any(line.startswith("strong share") and "+10.00 points" in line for line in lines)
