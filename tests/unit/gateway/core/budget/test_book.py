"""What one request adds to the counters."""

from collections import Counter

from gateway.core.budget.book import Book
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Ttft
from gateway.core.budget.slo import DAY_S, Period, SloSpec, build
from gateway.domain.catalog import TrafficClass
from gateway.domain.errors import Reason
from gateway.domain.event import NANO, Entry, Form, Outcome

STANDARD = TrafficClass("standard", 3.0, 30.0, 1)
BATCH = TrafficClass("batch", 1.0, 600.0, 2, exempts_sheds=True)
SLOS = build(
    [
        SloSpec("availability", "availability", Availability.Options(), 0.999, 28 * DAY_S),
        SloSpec("first-token", "ttft", Ttft.Options(1.0), 0.95, 28 * DAY_S),
        SloSpec("spend", "cost", Cost.Options(100.0), period=Period("day")),
        SloSpec("quality", "quality", Quality.Options(), 0.8, 28 * DAY_S),
        SloSpec("auto-availability", "availability", Availability.Options(), 0.99, 28 * DAY_S, route="auto"),
    ]
)
FLEET, TTFT, _, QUALITY, AUTO = SLOS
SERVED = Outcome(Reason.SERVED, "weak", 0.4, 2.0, 100, 20, was_streamed=True)


def total(entries: list[Entry]) -> Counter[str]:
    counter: Counter[str] = Counter()
    for name, amount in entries:
        counter[name] += amount
    return counter


def test_an_arrival_counts_for_the_fleet_and_its_route() -> None:
    assert Book(SLOS).opening("auto") == [("req", 1), ("r.auto.req", 1)]


def test_a_served_request_is_written_into_every_budget_that_applies() -> None:
    assert total(Book(SLOS).settled("auto", STANDARD, SERVED, usd=0.000_25, listed_usd=0.000_2)) == {
        "n": 1, "r.auto.n": 1, "end.served": 1, "k.standard": 1, "usd": 250_000, "r.auto.usd": 250_000,
        "m.weak.n": 1, "m.weak.usd": 250_000, "m.weak.exp": 200_000, "m.weak.in": 100, "m.weak.out": 20,
        FLEET.valid_field: 1, TTFT.valid_field: 1, AUTO.valid_field: 1,
    }  # fmt: skip


def test_a_late_answer_is_bad_for_one_budget_only() -> None:
    late = Outcome(Reason.SERVED, "weak", 1.5, 2.0, 100, 20, was_streamed=True)
    entries = total(Book(SLOS).settled("auto", STANDARD, late, 0.0, 0.0))
    assert entries[TTFT.bad_field] == 1 and entries[FLEET.bad_field] == 0 and "usd" not in entries


def test_who_is_turned_away_at_the_door_is_an_event_of_the_whole_fleet_when_it_is_our_doing() -> None:
    book = Book(SLOS)
    assert book.turned_away(Reason.UNKNOWN_KEY) == [("end.invalid_api_key", 1)]
    full = [("end.limit_streams", 1), (FLEET.valid_field, 1), (FLEET.bad_field, 1)]
    assert book.turned_away(Reason.LIMIT_STREAMS) == full == book.turned_away(Reason.LIMIT_STREAMS)
    assert (FLEET.bad_field, 1) in book.turned_away(Reason.SHUTTING_DOWN)


def test_another_routes_budget_is_left_alone() -> None:
    entries = total(Book(SLOS).settled("other", STANDARD, Outcome(Reason.UPSTREAM_ERROR, None), 0.0, 0.0))
    assert entries[FLEET.bad_field] == 1 and AUTO.valid_field not in entries
    assert entries["end.upstream_error"] == 1 and not any(name.startswith("m.") for name in entries)


def test_a_shed_is_a_failure_except_for_a_class_whose_contract_exempts_it() -> None:
    shed = Outcome(Reason.SHED_OVERLOAD, None, attempts=0)
    counted = total(Book(SLOS).settled("auto", STANDARD, shed, 0.0, 0.0))
    exempt = total(Book(SLOS).settled("auto", BATCH, shed, 0.0, 0.0))
    assert counted["shed.shed_overload.standard"] == 1 and counted[FLEET.bad_field] == 1
    assert exempt["shed.shed_overload.batch"] == 1 and FLEET.valid_field not in exempt and exempt["n"] == 1


def test_a_clients_own_mistake_is_counted_but_in_no_budget() -> None:
    entries = total(Book(SLOS).settled("auto", STANDARD, Outcome(Reason.CONTEXT_TOO_LONG, None), 0.0, 0.0))
    assert entries == {"n": 1, "r.auto.n": 1, "end.context_length_exceeded": 1, "k.standard": 1}


def test_a_verdict_counts_in_the_quality_budget_alone() -> None:
    book = Book(SLOS)
    number = f"s.{QUALITY.id}.v"
    assert book.verdict(True, "auto") == [(number, 1), (QUALITY.valid_field, 1000)]
    assert book.verdict(False, "auto", weight=2.5) == [(number, 1), (QUALITY.valid_field, 2500), (QUALITY.bad_field, 2500)]


def test_where_forms_are_judged_verdicts_of_people_do_not_count() -> None:
    slos = build([SloSpec("valid", "quality", Quality.Options("validity"), 0.9, DAY_S)])
    assert Book(slos).verdict(False, "auto") == []
    empty = Outcome(Reason.SERVED, "weak", form=Form.EMPTY)
    entries = total(Book(slos).settled("auto", STANDARD, empty, 0.0, 0.0))
    assert entries[slos[0].valid_field] == entries[slos[0].bad_field] == 1
    scored = total(Book(slos).settled("auto", STANDARD, SERVED, 0.0, 0.0, quality=0.5))
    assert slos[0].scored_field not in scored  # The router predicts what people say, not forms.


def test_what_the_router_expected_to_lose_is_counted_apart() -> None:
    entries = total(Book(SLOS).settled("auto", STANDARD, SERVED, 0.0, 0.0, quality=0.75))
    assert [entries[name] for name in (QUALITY.scored_field, QUALITY.lost_field)] == [1, 250]
    assert QUALITY.valid_field not in entries
    failed = total(Book(SLOS).settled("auto", STANDARD, Outcome(Reason.UPSTREAM_CUT, "weak"), 0.0, 0.0, quality=0.75))
    assert QUALITY.scored_field not in failed


def test_what_is_handed_out_may_be_added_to() -> None:
    """Names are prepared once; a caller that appends must not write into them."""
    book = Book(SLOS)
    first = book.settled("auto", STANDARD, SERVED, 0.1, 0.1)
    first.append(("strange", 1))
    assert "strange" not in total(book.settled("auto", STANDARD, SERVED, 0.1, 0.1))


def test_dollars_are_whole_nano_dollars() -> None:
    entries = total(Book(()).settled("auto", STANDARD, SERVED, usd=1.000_000_000_6, listed_usd=0.0))
    assert entries["usd"] == NANO + 1 and all(isinstance(amount, int) for amount in entries.values())


def test_dollars_that_rest_on_estimates_are_marked() -> None:
    entries = total(Book(SLOS).settled("auto", STANDARD, SERVED, 0.002, 0.002, estimated_usd=0.0015))
    assert (entries["est"], entries["r.auto.est"], entries["usd"]) == (1_500_000, 1_500_000, 2_000_000)
    assert "est" not in total(Book(SLOS).settled("auto", STANDARD, SERVED, 0.002, 0.002))
