"""Counters and histograms, and how Prometheus wants them written."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.telemetry import families
from gateway.edges.telemetry.families import Histogram, counter, gauge_lines, histogram, label_text, number


def test_a_counter_is_written_with_help_type_and_labels() -> None:
    family = counter("sluice_things_total", "Things, of all kinds.", "kind")
    family.child("round").value += 2
    family.child("flat").value += 0.5
    assert list(family.lines()) == [
        "# HELP sluice_things_total Things, of all kinds.",
        "# TYPE sluice_things_total counter",
        'sluice_things_total{kind="round"} 2.0',
        'sluice_things_total{kind="flat"} 0.5',
    ]


def test_the_same_label_values_give_the_same_child() -> None:
    family = counter("x_total", "X.", "a", "b")
    assert family.child("1", "2") is family.child("1", "2")
    assert family.child("1", "2") is not family.child("2", "1")
    with pytest.raises(ValueError, match="labels"):
        family.child("1")


def test_a_histogram_is_cumulative_and_counts_a_value_on_its_bound_below_it() -> None:
    family = histogram("x_seconds", "X.", [1.0, 0.1, 1.0])
    child = family.child()
    for value in (0.05, 0.1, 0.2, 7.0):
        child.observe(value)
    assert list(family.lines())[2:] == [
        'x_seconds_bucket{le="0.1"} 2',
        'x_seconds_bucket{le="1.0"} 3',
        'x_seconds_bucket{le="+Inf"} 4',
        "x_seconds_sum 7.35",
        "x_seconds_count 4",
    ]


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_buckets_never_fall_and_end_at_the_count(values: list[float]) -> None:
    child = Histogram((0.5, 10.0, 1000.0))
    for value in values:
        child.observe(value)
    totals = [int(line.rsplit(" ", 1)[1]) for line in child.lines("x", "") if "_bucket" in line]
    assert totals == sorted(totals)
    assert totals[-1] == len(values)
    assert totals[0] == sum(value <= 0.5 for value in values)


def test_labels_beyond_the_bound_are_counted_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "CHILDREN_MAX", 3)
    family = counter("x_total", "X.", "name")
    for i in range(100):
        family.child(f"n{i}").value += 1
    assert len(list(family.lines())) == 2 + 4
    assert family.child("n77").value == 97
    assert 'x_total{name="other"} 97.0' in list(family.lines())


@given(st.text())
def test_any_label_value_stays_on_one_line_and_can_be_read_back(value: str) -> None:
    text = label_text([("name", value)])
    assert "\n" not in text
    match = re.fullmatch(r'name="((?:[^"\\]|\\.)*)"', text, re.DOTALL)
    assert match is not None
    assert re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match[1], flags=re.DOTALL) == value


def test_numbers_are_written_as_prometheus_reads_them() -> None:
    assert [number(x) for x in (1, 0.25, math.inf, -math.inf, math.nan, 1e-9)] == ["1.0", "0.25", "+Inf", "-Inf", "NaN", "1e-09"]


def test_a_gauge_without_data_is_left_out_altogether() -> None:
    assert list(gauge_lines("x", "X.", [({"slo": "a"}, None)])) == []
    assert list(gauge_lines("x", "X\n.", [({"slo": "a"}, None), ({}, 2)])) == ["# HELP x X\\n.", "# TYPE x gauge", "x 2.0"]
