"""Reports: self-contained, well-formed, and honest about what is not known."""

import re
from html.parser import HTMLParser

import pytest

from load.report import labels, render, text
from load.result import NOT_RUNNING, SERVED, Result, Row, Sample

NOTES = {
    "faults": [{"kind": "refuse", "target": "strong", "at_s": 60, "for_s": 30}],
    "bursts": [{"at_s": 20, "for_s": 10, "times": 3}],
    "events": [{"kind": "kill-store", "begun_s": 100.0, "ended_s": 101.0}],
    "slos": [
        {"name": "up", "kind": "availability", "objective": 0.99, "at_most_s": None},
        {"name": "soon", "kind": "ttft", "objective": 0.95, "at_most_s": 1.0},
        {"name": "spend", "kind": "cost", "objective": None, "at_most_s": None},
    ],
}


def result(kind: str = "run", law: str = "static", rows: int = 300) -> Result:
    made = [
        Row(i * 0.4, ("batch", "standard")[i % 2], ("strong", "weak")[i % 3 > 0], SERVED, 0.1 + i % 7 / 10, 1.0, 100, 10, 0.01)
        for i in range(rows)
    ]
    made += [Row(50.0, "batch", None, "shed_deadline", None, 0.1), Row(70.0, "standard", None, "upstream_cut", None, 0.5)]
    made += [Row(80.0, "standard", None, NOT_RUNNING, None, 0.0)]
    samples = [Sample(5.0 * i, 0.3, 0.1 * i, "normal", {"spend": 0.2, "up": 0.0}, {"spend": 0.9, "up": None}) for i in range(24)]
    return Result("s<cript>", kind, law, 120.0, 3.0, "strong", 6.0, made, samples, dict(NOTES))


class Balance(HTMLParser):
    VOID = frozenset(("meta", "line", "rect", "path"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID or tag in ("rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("results", [[result()], [result(), result("sim")], [result(law="a"), result(law="a"), result("sim")]])
def test_the_page_is_well_formed_and_asks_for_nothing_from_outside(results: list[Result]) -> None:
    page = render(results)
    reader = Balance()
    reader.feed(page)
    assert reader.open == []
    assert reader.addresses == []
    assert "url(" not in page
    assert "<script" not in page
    assert "s<cript>" not in page


def test_every_chart_names_its_axes_with_units() -> None:
    page = render([result()])
    figures = page.count("<figure>")
    assert figures >= 9
    assert page.count('class="label">time (min)') == figures
    for unit in ("USD", "win rate", "share of served", "TTFT (s)", "times even", "requests per minute", "projected use"):
        assert unit in page


def test_faults_bursts_and_events_are_shaded_in_every_chart() -> None:
    page = render([result()])
    assert (
        page.count('class="fault"><title>')
        == page.count('class="burst"><title>')
        == page.count('class="event"><title>')
        == page.count("<figure>")
    )


def test_several_results_lie_over_each_other_and_keep_their_names_apart() -> None:
    assert labels([result(), result("sim"), result()]) == ["run static #1", "sim static", "run static #2"]
    page = render([result(), result("sim")])
    assert page.count("Spend against budget</b>") == 1
    assert len(re.findall(r"Burn rate, per [^<]*</b>", page)) == 2


def test_a_run_without_samples_leaves_out_what_it_cannot_draw() -> None:
    bare = result()
    bare.samples, bare.budget_usd, bare.notes = [], None, {}
    page = render([bare])
    assert "Prices, run static" not in page
    assert "Strong share, per" in page
    assert "spend / budget" not in page


def test_the_terminal_gets_figures_and_leaves_out_what_is_not_known() -> None:
    lines = text(result()).splitlines()
    assert lines[0] == "s<cript> (run, static)"
    told = {line.strip().rsplit("  ", 1)[0].strip(): line.rsplit("  ", 1)[1].strip() for line in lines[1:]}
    assert told["shed"] == "1"
    assert told["failed"] == "1"
    assert told["not running"] == "1"
    assert told["spend / budget"] == "1.0000"
    assert "gateway's account / ours" not in told
