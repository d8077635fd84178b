"""Signs and bounds of every dimension: what is booked, what is risked, and what little evidence may not do."""

from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.budget.alerts import Alerts
from gateway.core.budget.book import Book
from gateway.core.budget.burn import LONG_WINDOWS_S, WINDOWS_S
from gateway.core.budget.evidence import exceeds, shrunk
from gateway.core.budget.rhythm import WEEK_HOURS, Rhythm
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.coherence import Coherence
from gateway.core.budget.slis.itl import Itl
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.registry import SLIS
from gateway.core.budget.slis.ttft import Bin, Ttft
from gateway.core.budget.slo import DAY_S, Slo, SloSpec, build
from gateway.domain.catalog import TrafficClass
from gateway.domain.errors import Reason
from gateway.domain.event import Form, Outcome, Timeline
from gateway.domain.expectation import Expectation
from gateway.domain.reading import Reading

STANDARD = TrafficClass("standard", 3.0, 30.0, 1)
SLOS = build(
    [
        SloSpec("availability", "availability", Availability.Options(), 0.999, 28 * DAY_S),
        SloSpec("first-token", "ttft", Ttft.Options(8.0, (Bin(2000, 1.0), Bin(8000, 2.5))), 0.95, 28 * DAY_S),
        SloSpec("pace", "itl", Itl.Options(1.0, 10.0, 2.0), 0.95, 28 * DAY_S),
        SloSpec("quality", "quality", Quality.Options(), 0.8, 28 * DAY_S),
        SloSpec("validity", "quality", Quality.Options("validity"), 0.99, 28 * DAY_S),
        SloSpec("coherence", "coherence", Coherence.Options(), 0.99, 28 * DAY_S),
    ]
)
share = st.floats(0, 1)
outcomes = st.builds(
    Outcome,
    st.sampled_from(Reason),
    st.sampled_from(["strong", "weak", None]),
    st.none() | st.floats(0, 60),
    st.floats(0, 600),
    st.integers(0, 100_000),
    st.integers(0, 10_000),
    was_streamed=st.booleans(),
    before_deadline=st.booleans(),
    timelines=st.just(()) | share.map(lambda q: (Timeline(1.0, 10.0, q),)),
    stall_s=st.floats(0, 60),
    form=st.none() | st.sampled_from(Form),
    switch=st.none() | st.integers(0, 5),
)


@settings(max_examples=300, deadline=None)
@given(outcomes, st.none() | share)
def test_an_outcome_is_at_most_one_event_of_each_budget_and_bad_only_if_valid(outcome: Outcome, quality: float | None) -> None:
    entries: Counter[str] = Counter()
    for name, amount in Book(SLOS).settled("auto", STANDARD, outcome, 0.001, 0.001, quality):
        assert amount >= 0 and isinstance(amount, int)
        entries[name] += amount
    for slo in SLOS:
        assert 0 <= entries[slo.bad_field] <= entries[slo.valid_field] <= 1
    assert entries["n"] == 1 and sum(amount for name, amount in entries.items() if name.startswith("end.")) == 1


@given(st.booleans(), st.floats(1.0, 20.0))
def test_a_verdict_weighs_the_same_in_both_counts(is_good: bool, weight: float) -> None:
    entries = dict(Book(SLOS).verdict(is_good, "auto", weight))
    slo = next(s for s in SLOS if s.evidence_field is not None)
    assert entries[str(slo.evidence_field)] == 1 and entries[slo.valid_field] == round(1000 * weight)
    assert entries.get(slo.bad_field, 0) == (0 if is_good else entries[slo.valid_field])


@given(share, share, share, st.floats(0, 10), share, st.sampled_from([0.0, 1.0]))
def test_every_risk_is_a_probability_but_that_of_dollars(q: float, ok: float, late: float, usd: float, stall: float, breaks: float) -> None:
    e = Expectation("m", q, ok, late, usd, 100, stall, breaks)
    for kind, sli in SLIS.items():
        assert sli.risk(e) == usd if kind == "cost" else 0.0 <= sli.risk(e) <= 1.0


worse: dict[str, Any] = {"success": -1, "quality": -1, "late": 1, "stall": 1}


@given(st.sampled_from(sorted(worse)), share, share)
def test_a_worse_prospect_is_never_a_smaller_risk_of_any_kind(field: str, a: float, b: float) -> None:
    usual = {"model": "m", "quality": 0.7, "success": 0.9, "late": 0.1, "usd": 0.01, "completion_tokens": 100, "stall": 0.1, "breaks": 0.0}
    first, second = (Expectation(**(usual | {field: x})) for x in sorted((a, b), reverse=worse[field] < 0))  # type: ignore[arg-type]
    assert all(sli.risk(second) >= sli.risk(first) for sli in SLIS.values())


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.floats(0, 60), st.floats(0, 60))
def test_a_later_first_token_is_never_better(tokens: int, other: int, a: float, b: float) -> None:
    sli = SLOS[1].sli
    early, late = (sli.judge(Outcome(Reason.SERVED, "m", s, 99.0, tokens, was_streamed=True)) for s in sorted((a, b)))
    assert early or not late


# -- little evidence -----------------------------------------------------------------------------------------------------


def availability(objective: float, route: str | None = None) -> Slo:
    return Slo.of(SloSpec("availability", "availability", Availability.Options(), objective, 28 * DAY_S, route=route))


def nested(counts: list[tuple[int, int]]) -> dict[str, Reading]:
    """Return readings of windows that hold each other, from (bad, good) that each adds to the shorter one."""
    bad, valid, made = 0, 0, {}
    for (name, length_s), (more_bad, good) in zip((WINDOWS_S | LONG_WINDOWS_S).items(), counts, strict=True):
        bad, valid = bad + more_bad, valid + more_bad + good
        made[name] = Reading(bad, valid, length_s)
    return made


windows = len(WINDOWS_S | LONG_WINDOWS_S)
objectives = st.sampled_from([0.9, 0.95, 0.99, 0.999, 0.9999])
traffic = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5000)), min_size=windows, max_size=windows)


@settings(max_examples=200, deadline=None)
@given(objectives, st.floats(0, 1), st.integers(0, windows - 1), st.lists(st.integers(0, 5000), min_size=windows, max_size=windows))
def test_one_failure_below_one_in_fourteen_budgets_changes_no_tier(objective: float, busy: float, at: int, later: list[int]) -> None:
    """Row 10: n < 1/(14.4 b) in the quick window, whatever came before without a failure."""
    few = int(busy / (14.4 * (1 - objective)))
    counts = [(int(i == at), few if i == 0 else good) for i, good in enumerate(later)]
    assert Alerts().look(availability(objective), nested(counts), None, 28 * DAY_S) is None


@settings(max_examples=200, deadline=None)
@given(objectives, traffic, traffic)
def test_without_events_nothing_changes(objective: float, before: list[tuple[int, int]], after: list[tuple[int, int]]) -> None:
    alerts, slo = Alerts(), availability(objective)
    was = alerts.look(slo, nested(before), None, 28 * DAY_S)
    silent = {name: Reading(0, 0, r.window_s) if r.window_s < 30_000 else r for name, r in nested(after).items()}
    assert alerts.look(slo, silent, None, 28 * DAY_S) == was


@settings(max_examples=200, deadline=None)
@given(objectives, traffic, st.data())
def test_more_failures_never_end_an_alert(objective: float, counts: list[tuple[int, int]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, windows - 1))
    more = [(bad + 20 * (i == at), max(good - 20 * (i == at), 0)) for i, (bad, good) in enumerate(counts)]
    order = [None, "ticket", "page"]
    few, many = (Alerts().look(availability(objective), nested(c), None, 28 * DAY_S) for c in (counts, more))
    assert order.index(many) >= order.index(few)


@given(st.integers(0, 2000), st.integers(0, 2000), st.floats(0.0001, 0.9))
def test_evidence_grows_with_failures_and_shrinks_with_the_limit(bad: int, good: int, ratio: float) -> None:
    if exceeds(bad, bad + good, ratio):
        assert exceeds(bad + 1, bad + 1 + good, ratio) and exceeds(bad, bad + good, ratio * 0.9)
        assert bad / (bad + good) > ratio


@given(st.integers(0, 1000), st.integers(0, 1000), share)
def test_a_shrunk_ratio_lies_between_its_own_and_its_parents(bad: int, good: int, parent: float) -> None:
    made = shrunk(bad, bad + good, parent)
    own = bad / (bad + good) if bad + good else parent
    assert min(own, parent) - 1e-9 <= made <= max(own, parent) + 1e-9


# -- forecast --------------------------------------------------------------------------------------------------------------

hours = st.lists(st.floats(0, 1e5), min_size=WEEK_HOURS, max_size=WEEK_HOURS)
moments = st.lists(st.floats(1.7e9, 1.7e9 + 40 * DAY_S), min_size=3, max_size=3).map(sorted)


@settings(max_examples=60, deadline=None)
@given(hours, moments)
def test_what_is_to_come_adds_up_over_neighbouring_stretches(week: list[float], at: list[float]) -> None:
    rhythm = Rhythm(week)
    whole, parts = rhythm.between(at[0], at[2]), [rhythm.between(a, b) for a, b in pairwise(at)]
    assert min(parts) >= 0 and abs(whole - sum(parts)) <= 1e-6 * (1 + whole)
