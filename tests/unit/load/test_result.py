"""Results: figures from rows, what counts as failed, and a file that reads back equal."""

import json
from pathlib import Path

import pytest

from load.result import NOT_RUNNING, SERVED, Result, Row, Sample


def row(at_s: float = 0.0, reason: str = SERVED, model: str | None = "weak", usd: float = 1.0, klass: str = "standard") -> Row:
    return Row(at_s, klass, model if reason == SERVED else None, reason, 0.1, 1.0, 10, 5, usd if reason == SERVED else 0.0)


def result(rows: list[Row], samples: list[Sample] | None = None, budget_usd: float | None = 4.0) -> Result:
    return Result("s", "run", "static", 60.0, budget_usd, "strong", 1.0, rows, samples or [])


def test_spend_share_and_availability_come_from_the_rows() -> None:
    figures = result([row(model="strong", usd=2.0), row(), row(), row(reason="upstream_cut")]).figures()
    assert figures["spend_over_budget"] == 1.0
    assert figures["strong_share"] == pytest.approx(1 / 3)
    assert figures["availability"] == 0.75
    assert figures["failed"] == 1


def test_sheds_are_no_failures_but_not_available_either() -> None:
    figures = result([row(), row(reason="shed_deadline", klass="batch")]).figures()
    assert (figures["failed"], figures["availability"], figures["sheds_by_class"]) == (0, 0.5, {"batch": 1})


def test_what_the_harness_stopped_says_nothing_about_the_gateway() -> None:
    figures = result([row(), row(reason=NOT_RUNNING), row(reason=NOT_RUNNING)]).figures()
    assert (figures["requests"], figures["availability"], figures["not_running"], figures["failed"]) == (1, 1.0, 2, 0)


def test_no_rows_and_no_budget_are_no_data() -> None:
    figures = result([], budget_usd=None).figures()
    assert [figures[k] for k in ("availability", "strong_share", "spend_over_budget", "ttft_s", "alpha_ref_tv")] == [None] * 5


def test_the_threshold_s_variation_adds_up_every_move() -> None:
    samples = [Sample(t, alpha, None, None) for t, alpha in ((0, 0.1), (5, 0.4), (10, None), (15, 0.2))]
    assert result([row()], samples).figures()["alpha_ref_tv"] == pytest.approx(0.5)


def test_a_result_reads_back_equal(tmp_path: Path) -> None:
    made = result([row(), row(3.0, "upstream_cut")], [Sample(0.0, 0.2, 1.5, "normal", {"spend": 0.1}, {"spend": None}, {"b": "open"})])
    made.notes["seed"] = 7
    made.write(tmp_path / "deep" / "r.json")
    assert Result.read(tmp_path / "deep" / "r.json") == made


@pytest.mark.parametrize("content", ['{"schema": 99}', "[1]", "not json"])
def test_another_file_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=r"x\.json"):
        Result.read(tmp_path / "x.json")


def test_the_file_carries_its_figures_for_other_tools(tmp_path: Path) -> None:
    result([row()]).write(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["figures"]["availability"] == 1.0
