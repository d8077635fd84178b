"""One request's way through the core: what is reserved is released, what ended is counted once."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.coherence import Coherence
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Bin, Ttft
from gateway.core.budget.slo import DAY_S, Period, SloSpec, build
from gateway.core.dispatcher import Dispatcher
from gateway.core.placement.breaker import BreakerState
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.record import RECORD_FIELDS, as_line, is_same, redecide
from gateway.core.state import State
from gateway.core.tenants.vault import Vault
from gateway.core.ticket import Again, Booking, Ticket
from gateway.domain.catalog import Backend, Catalog, Limits, Model, Route, Router, Tariff, Tenant, TrafficClass
from gateway.domain.decision import Shed
from gateway.domain.errors import Reason
from gateway.domain.event import NANO, Entry, Outcome
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.domain.prices import Overrides, Pin, Price, Prices

S1, S2 = (Backend(f"strong@{h}", f"http://{h}/v1", "big") for h in ("s1", "s2"))
W = Backend("weak@w", "http://w/v1", "small", engine="vllm", is_self_hosted=True, pending_tokens_max=1000)
STRONG = Model("strong", Tariff(2.5, 10.0), 128_000, (S1, S2))
WEAK = Model("weak", Tariff(0.15, 0.6), 32_000, (W,))
CRITICAL = TrafficClass("critical", 10.0, 2.0, 0)
STANDARD = TrafficClass("standard", 3.0, 30.0, 1)
BATCH = TrafficClass("batch", 1.0, 600.0, 2, exempts_sheds=True)
CATALOG = Catalog(
    {"strong": STRONG, "weak": WEAK},
    {"auto": Route("auto", ("strong", "weak"), Router("builtin", 0.35))},
    {c.name: c for c in (CRITICAL, STANDARD, BATCH)},
    {"acme": Tenant("acme", (), "standard"), "small": Tenant("small", (), "standard", Limits(rpm=2, tpm=10_000, usd_per_day=0.01))},
)
SLOS = build(
    [
        SloSpec("availability", "availability", Availability.Options(), 0.999, 28 * DAY_S),
        SloSpec("first-token", "ttft", Ttft.Options(1.0), 0.95, 28 * DAY_S),
        SloSpec("spend", "cost", Cost.Options(100.0), period=Period("day")),
        SloSpec("quality", "quality", Quality.Options(), 0.8, 28 * DAY_S),
    ]
)
FLEET, TTFT, SPEND, QUALITY = SLOS
GAINS = {"auto": Gain(((0.0, 0.0), (1.0, 0.5)))}
HELPS, HARDLY = (0.9, 0.6), (0.70, 0.69)
"""Qualities of a prompt that the strong model helps a lot, and hardly."""
SERIAL = iter(range(10**9))


def dispatcher(mode: str = "enforce", state: State | None = None, catalog: Catalog = CATALOG, **more: Any) -> Dispatcher:
    made = Dispatcher(catalog, SLOS, GAINS, state or State(), mode, **more)
    made.adopt(priced(0.0), Overrides(), 0.0)
    return made


def priced(cost: float, version: int = 1, **more: Any) -> Prices:
    return Prices(version, 1, "hash", 0.0, "shadow_price", (Price("spend", "cost", cost, 0.001),), 3.0, **more)


def asked(klass: TrafficClass = STANDARD, at_s: float = 0.0, **more: Any) -> RequestFacts:
    made = RequestFacts(
        f"req_{next(SERIAL)}", Endpoint.CHAT, "acme", klass, "auto", (STRONG, WEAK), 400, None, True, at_s, (0.5, 0.9), prompt_bytes=1600
    )
    return structs.replace(made, **more)


def placed(d: Dispatcher, qualities: tuple[float, ...] | None = HELPS, at_s: float = 0.0, facts: RequestFacts | None = None) -> Ticket:
    ticket = d.decide(facts or asked(at_s=at_s), qualities, at_s)
    assert isinstance(ticket, Ticket) and ticket.placed is not None
    return ticket


def where(ticket: Ticket) -> str:
    assert ticket.placed is not None
    return ticket.placed.backend.id


def served(ticket: Ticket, ttft_s: float = 0.4, tokens: int = 100) -> Outcome:
    assert ticket.placed is not None
    return Outcome(Reason.SERVED, ticket.placed.model.name, ttft_s, 2.0, 400, tokens, attempts=ticket.attempts, was_streamed=True)


def counted(booking: Booking) -> Counter[str]:
    return total(booking.entries)


def total(entries: list[Entry]) -> Counter[str]:
    counter: Counter[str] = Counter()
    for name, amount in entries:
        counter[name] += amount
    return counter


def is_idle(state: State) -> bool:
    loads = [state.placement.account(b.id, m.name).load for m in (STRONG, WEAK) for b in m.backends]
    return state.reserved_usd == 0.0 and all(load.in_flight == 0 for load in loads)


def break_strong(d: Dispatcher, now_s: float = 0.0) -> None:
    for backend in STRONG.backends:
        for _ in range(3):
            d.state.placement.sent(STRONG, backend, 1, now_s).failed(now_s)
        assert d.state.placement.account(backend.id, "strong").breaker.state is BreakerState.OPEN


# -- an ordinary request -----------------------------------------------------------------------------------------------


def test_a_request_is_sent_watched_and_settled() -> None:
    d = dispatcher()
    ticket = placed(d)
    assert where(ticket) == "strong@s1" and ticket.placed is not None and ticket.placed.choice.reason == "score"
    expected_usd = STRONG.tariff.usd(400, 211)
    d.sent(ticket, 0.01)
    assert d.state.reserved_usd == pytest.approx(expected_usd) and ticket.attempts == 1
    assert d.state.placement.account("strong@s1", "strong").load.in_flight == 1
    d.first_token(ticket, 0.4)
    booking = d.ended(ticket, served(ticket), 2.0, 1e9)
    assert is_idle(d.state)
    assert booking.usd == pytest.approx(STRONG.tariff.usd(400, 100))
    nano = round(booking.usd * NANO)
    assert counted(booking) == {
        "n": 1, "r.auto.n": 1, "end.served": 1, "k.standard": 1, "usd": nano, "r.auto.usd": nano,
        "m.strong.n": 1, "m.strong.usd": nano, "m.strong.exp": round(expected_usd * NANO), "m.strong.in": 400, "m.strong.out": 100,
        FLEET.valid_field: 1, TTFT.valid_field: 1, QUALITY.scored_field: 1, QUALITY.lost_field: 100,
    }  # fmt: skip
    assert total(ticket.opening) == {"req": 1, "r.auto.req": 1}


def test_prices_send_what_gains_little_to_the_weak_model() -> None:
    d = dispatcher()
    d.adopt(priced(0.05), Overrides(), 1.0)
    assert where(placed(d, HELPS)) == "strong@s1" and where(placed(d, HARDLY)) == "weak@w"
    d.adopt(priced(5.0, version=2), Overrides(), 2.0)
    assert where(placed(d, HELPS)) == "weak@w"


def test_the_expected_dollars_carry_what_a_model_bills_more_than_listed_but_only_once() -> None:
    d = dispatcher()
    d.adopt(priced(0.0, version=2, factors={"strong": 3.0}), Overrides(), 1.0)
    ticket = placed(d)  # The first request already.
    assert ticket.expectations[0].usd == pytest.approx(3 * STRONG.tariff.usd(400, 211))
    booking = d.ended(ticket, served(ticket), 2.0)
    assert counted(booking)["m.strong.exp"] == round(STRONG.tariff.usd(400, 211) * NANO)  # At list prices: the factor is learned from it.


def test_answers_teach_lengths_and_tokens_unless_they_are_estimates() -> None:
    d = dispatcher()
    ticket = placed(d)
    d.ended(ticket, structs.replace(served(ticket, tokens=4000), is_estimated=True), 2.0)
    assert d.state.lengths.expect("auto", "strong", None) == 211
    ticket = placed(d)
    d.ended(ticket, served(ticket, tokens=4000), 2.0)
    assert d.state.lengths.expect("auto", "strong", None) > 211


def test_adopting_says_whether_the_prices_are_new() -> None:
    d = dispatcher()
    assert not d.adopt(priced(0.0), Overrides(), 1.0)
    assert d.adopt(priced(0.1, version=2), Overrides(), 2.0)
    assert d.adopt(structs.replace(priced(0.1, version=2), fencing_token=9), Overrides(), 3.0)
    assert d.state.prices_seen_s == 3.0


# -- the record --------------------------------------------------------------------------------------------------------


def test_a_record_is_whole_and_can_be_decided_again() -> None:
    d = dispatcher()
    prices = priced(0.05, version=2)
    d.adopt(prices, Overrides({"auto": Pin("auto", 0.3, 50.0)}), 1.0)
    for wall_s in (10.0, 60.0):
        ticket = d.decide(asked(client_threshold=0.2), HELPS, 1.0, wall_s)
        assert isinstance(ticket, Ticket)
        line = as_line(d.ended(ticket, served(ticket), 2.0, wall_s).record)
        assert tuple(line) == RECORD_FIELDS and line["prices_version"] == 2 and line["pin"] == (0.3 if wall_s < 50 else None)
        assert is_same(line, redecide(line, prices, GAINS["auto"]))


def test_a_refused_request_has_a_record_without_a_decision() -> None:
    d = dispatcher()
    facts = asked(prompt_tokens=200_000)
    shed = d.decide(facts, HELPS, 0.0)
    assert isinstance(shed, Shed) and shed.reason is Reason.CONTEXT_TOO_LONG and "200000" in shed.message and "128000" in shed.message
    booking = d.refused(facts, shed, 0.1, 1e9)
    assert counted(booking) == {"req": 1, "r.auto.req": 1, "n": 1, "r.auto.n": 1, "end.context_length_exceeded": 1, "k.standard": 1}
    line = as_line(booking.record)
    assert line["choice"] is None and line["model"] is None and line["attempts"] == 0 and booking.usd == 0.0


def test_who_is_turned_away_at_the_door_is_counted_by_reason_alone() -> None:
    assert dispatcher().turned_away(Reason.UNKNOWN_KEY) == [("end.invalid_api_key", 1)]


def test_verdicts_go_into_the_quality_budget() -> None:
    assert total(dispatcher().verdict(False, "auto")) == {QUALITY.valid_field: 1000, QUALITY.bad_field: 1000, QUALITY.evidence_field: 1}


# -- candidates --------------------------------------------------------------------------------------------------------


def test_a_prompt_that_only_one_context_holds_has_one_candidate() -> None:
    ticket = placed(dispatcher(), (0.5, 0.9), facts=asked(prompt_tokens=50_000))
    assert where(ticket) == "strong@s1" and ticket.placed is not None and ticket.placed.choice.reason == "only"
    assert [e.quality for e in ticket.expectations] == [0.5]


def test_the_second_candidates_quality_stays_its_own_when_the_first_does_not_fit() -> None:
    short = replace(STRONG, context_tokens=1000)
    ticket = placed(dispatcher(), (0.9, 0.4), facts=asked(candidates=(short, WEAK), prompt_tokens=2000))
    assert [(e.model, e.quality) for e in ticket.expectations] == [("weak", 0.4)]


def test_nothing_scored_is_neutral_and_goes_to_the_only_candidate() -> None:
    ticket = placed(dispatcher(), None, facts=asked(candidates=(WEAK,), route="weak", named="weak"))
    assert where(ticket) == "weak@w" and ticket.expectations[0].quality == 0.5


def test_without_any_backend_the_refusal_says_when_to_come_back() -> None:
    d = dispatcher()
    break_strong(d)
    shed = d.decide(asked(candidates=(STRONG,), route="strong"), None, 0.5)
    assert isinstance(shed, Shed) and shed.reason is Reason.NO_BACKEND and shed.retry_after_s == pytest.approx(1.5)


def test_a_broken_model_is_left_out() -> None:
    d = dispatcher()
    break_strong(d)
    ticket = placed(d, at_s=1.0)
    assert where(ticket) == "weak@w" and ticket.placed is not None and ticket.placed.choice.reason == "down"


def test_requests_are_remembered_as_a_card_at_list_prices() -> None:
    d = dispatcher()
    d.adopt(priced(0.0, version=2, factors={"strong": 3.0}), Overrides(), 1.0)
    for _ in range(1000):
        d.ended(ticket := placed(d), served(ticket, tokens=211), 1.0)
    card = d.state.sample.card("auto", ("strong", "weak"))
    assert card is not None and card.usd[-1].tolist() == pytest.approx([STRONG.tariff.usd(400, 211), WEAK.tariff.usd(400, 211)])


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_failed_attempt_falls_back_to_the_next_backend_then_to_the_other_model() -> None:
    d = dispatcher()
    ticket, seen = placed(d), []
    for now_s in (0.1, 0.2, 0.3):
        d.sent(ticket, now_s)
        seen.append(where(ticket))
        again = d.failed(ticket, Reason.UPSTREAM_ERROR, now_s)
    assert seen == ["strong@s1", "strong@s2", "weak@w"] and again is None  # Three attempts are the most.
    booking = d.ended(ticket, Outcome(Reason.UPSTREAM_ERROR, None, attempts=3), 0.4)
    assert counted(booking)[FLEET.bad_field] == counted(booking)[FLEET.valid_field] == 1  # Attempts inside count once.
    assert is_idle(d.state)


def test_a_fallback_is_no_retry_and_takes_no_budget() -> None:
    d = dispatcher(retry_share=0.0)
    d.state.retries.take()
    ticket = placed(d)
    d.sent(ticket, 0.0)
    again = d.failed(ticket, Reason.UPSTREAM_UNREACHABLE, 0.1)
    assert again == Again(0.0, is_retry=False)


def test_of_other_models_the_best_scored_one_falls_in() -> None:
    middle = Model("middle", Tariff(0.5, 2.0), 32_000, (Backend("middle@m", "http://m/v1", "m"),))
    one = replace(STRONG, backends=(S1,))
    for qualities, then in (((0.9, 0.7, 0.6), "middle@m"), ((0.9, 0.6, 0.7), "weak@w")):
        d = dispatcher(catalog=replace(CATALOG, models={"strong": one, "middle": middle, "weak": WEAK}))
        ticket = placed(d, qualities, facts=asked(candidates=(one, middle, WEAK)))
        d.sent(ticket, 0.0)
        d.failed(ticket, Reason.UPSTREAM_ERROR, 0.1)
        assert where(ticket) == then


def test_the_client_is_told_that_a_fallback_answers_while_the_record_keeps_the_decision() -> None:
    d = dispatcher(catalog=replace(CATALOG, models={"strong": replace(STRONG, backends=(S1,)), "weak": WEAK}))
    ticket = placed(d, facts=asked(candidates=(replace(STRONG, backends=(S1,)), WEAK)))
    d.sent(ticket, 0.0)
    d.failed(ticket, Reason.UPSTREAM_ERROR, 0.1)
    assert ticket.placed is not None and (ticket.placed.choice.model, ticket.placed.choice.reason) == ("weak", "fallback")
    d.sent(ticket, 0.1)
    line = as_line(d.ended(ticket, served(ticket), 1.0).record)
    assert (line["choice"], line["why"], line["model"], line["attempts"]) == ("strong", "score", "weak", 2)


def lone(d: Dispatcher) -> Ticket:
    """A request that only the weak model's one backend can answer, sent."""
    ticket = placed(d, None, facts=asked(candidates=(WEAK,), route="weak"))
    d.sent(ticket, 0.0)
    return ticket


def test_with_nowhere_else_to_go_a_request_is_repeated_after_a_pause() -> None:
    d = dispatcher()
    again = d.failed(lone(d), Reason.UPSTREAM_ERROR, 0.1)
    assert again is not None and again.is_retry and again.delay_s == pytest.approx(0.1 * (0.5 + 0.9))


def test_a_backend_that_asks_for_a_pause_gets_it_unless_it_is_too_long() -> None:
    d = dispatcher()
    assert d.failed(lone(d), Reason.UPSTREAM_RATE_LIMITED, 0.1, retry_after_s=1.5) == Again(1.5, is_retry=True)
    d = dispatcher()
    assert d.failed(lone(d), Reason.UPSTREAM_RATE_LIMITED, 0.1, retry_after_s=30.0) is None


@pytest.mark.parametrize("reason", [Reason.UPSTREAM_TIMEOUT_TTFT, Reason.UPSTREAM_AUTH, Reason.UPSTREAM_BAD_ANSWER])
def test_what_a_repetition_cannot_mend_is_not_repeated(reason: Reason) -> None:
    d = dispatcher()
    assert d.failed(lone(d), reason, 0.1) is None


def test_retries_add_at_most_their_share_of_load() -> None:
    d = dispatcher(retry_share=0.1, attempts_max=2)
    retried = 0
    for i in range(500):
        d.state.placement.account("weak@w", "weak").breaker.__init__()  # type: ignore[misc]
        ticket = placed(d, None, at_s=float(i), facts=asked(candidates=(WEAK,), route="weak", at_s=float(i)))
        d.sent(ticket, float(i))
        again = d.failed(ticket, Reason.UPSTREAM_ERROR, float(i))
        retried += again is not None
        d.ended(ticket, Outcome(Reason.UPSTREAM_ERROR, None), float(i))
    assert 40 <= retried <= 51


def test_a_request_pays_into_the_retry_budget_once_however_often_it_is_sent() -> None:
    d = dispatcher(retry_share=0.25)
    ticket = placed(d)
    for _ in range(3):
        d.sent(ticket, 0.0)
        d.failed(ticket, Reason.UPSTREAM_ERROR, 0.1)
    d.state.retries.take()
    for _ in range(3):
        assert not d.state.retries.take()
        d.sent(placed(d), 1.0)
    assert d.state.retries.take()


def test_one_requests_failures_count_once_per_backend() -> None:
    d = dispatcher(attempts_max=4)
    d.state.retries._stock = 10.0
    ticket = lone(d)
    for now_s in (0.1, 0.5, 1.0):
        again = d.failed(ticket, Reason.UPSTREAM_ERROR, now_s)
        assert again is not None and again.is_retry
        d.sent(ticket, now_s)
    account = d.state.placement.account("weak@w", "weak")
    assert account.breaker.state is BreakerState.CLOSED
    assert d.state.placement.health("weak").success == pytest.approx(0.999 * 0.9)
    assert d.failed(ticket, Reason.UPSTREAM_ERROR, 1.5) is None
    d.ended(ticket, Outcome(Reason.UPSTREAM_ERROR, None, attempts=4), 1.5)
    assert account.breaker.state is BreakerState.CLOSED and is_idle(d.state)


def test_three_requests_open_the_breaker() -> None:
    d = dispatcher(attempts_max=1)
    for _ in range(3):
        assert d.failed(lone(d), Reason.UPSTREAM_ERROR, 0.1) is None
    assert d.state.placement.account("weak@w", "weak").breaker.state is BreakerState.OPEN


def test_being_told_to_slow_down_is_no_failure() -> None:
    d = dispatcher(attempts_max=1)
    for _ in range(2):
        ticket = placed(d)
        d.sent(ticket, 0.0)
        d.failed(ticket, Reason.UPSTREAM_RATE_LIMITED, 0.0, retry_after_s=60.0)
        d.ended(ticket, Outcome(Reason.UPSTREAM_RATE_LIMITED, None), 0.0)
    assert d.state.placement.health("strong").success == pytest.approx(0.999)
    assert where(placed(d, at_s=59.0)) == "weak@w"  # Both strong backends asked to be left alone.
    assert where(placed(d, at_s=60.0)) == "strong@s1"


def test_a_prompt_that_was_processed_before_the_failure_is_billed() -> None:
    d = dispatcher()
    ticket = placed(d)
    d.sent(ticket, 0.0)
    d.failed(ticket, Reason.UPSTREAM_CUT, 0.1)
    d.sent(ticket, 0.1)
    booking = d.ended(ticket, served(ticket), 1.0)
    assert booking.usd == pytest.approx(STRONG.tariff.usd(400, 0) + STRONG.tariff.usd(400, 100))
    ticket = placed(d)
    d.sent(ticket, 0.0)
    d.failed(ticket, Reason.UPSTREAM_UNREACHABLE, 0.1)
    assert d.ended(ticket, Outcome(Reason.UPSTREAM_UNREACHABLE, None), 0.2).usd == 0.0


def test_an_answer_cut_after_its_first_words_counts_against_its_backend() -> None:
    d = dispatcher()
    ticket = placed(d)
    d.sent(ticket, 0.0)
    d.first_token(ticket, 0.3)
    booking = d.ended(ticket, Outcome(Reason.UPSTREAM_CUT, "strong", 0.3, 1.0, 400, 20, is_estimated=True, was_streamed=True), 1.0)
    assert counted(booking)[FLEET.bad_field] == 1 and TTFT.valid_field not in counted(booking)
    assert booking.usd == pytest.approx(STRONG.tariff.usd(400, 20))
    assert d.state.placement.health("strong").success < 0.999 and is_idle(d.state)


def test_a_client_that_leaves_says_nothing_about_the_backend() -> None:
    d = dispatcher()
    ticket = placed(d)
    d.sent(ticket, 0.0)
    booking = d.ended(ticket, Outcome(Reason.CLIENT_CANCELLED, "strong", None, 0.5, 400, 0, is_estimated=True), 0.5)
    assert d.state.placement.health("strong").success == 0.999 and is_idle(d.state)
    assert FLEET.valid_field not in counted(booking) and booking.usd > 0.0


def test_a_bad_request_that_a_backend_refuses_is_proof_of_its_health() -> None:
    d = dispatcher()
    d.state.placement.health("strong").success = 0.5
    ticket = placed(d, (1.0, 0.1))
    d.sent(ticket, 0.0)
    d.ended(ticket, Outcome(Reason.UPSTREAM_REFUSED, "strong"), 0.5)
    assert d.state.placement.health("strong").success > 0.5


def test_late_first_tokens_make_a_model_late() -> None:
    d = dispatcher()
    for _ in range(3):
        ticket = placed(d)
        d.sent(ticket, 0.0)
        d.ended(ticket, served(ticket, ttft_s=1.5), 2.0)
    assert d.state.placement.health("strong").late > 0.1


def test_with_limits_by_length_a_model_is_late_for_the_prompts_it_is_late_for() -> None:
    binned = build([SloSpec("first-token", "ttft", Ttft.Options(8.0, (Bin(1000, 1.0),)), 0.95, DAY_S)])
    d = Dispatcher(CATALOG, binned, GAINS, State())
    for _ in range(10):
        ticket = placed(d, facts=asked(prompt_tokens=400))
        d.sent(ticket, 0.0)
        d.ended(ticket, served(ticket, ttft_s=1.5), 2.0)
    for _ in range(30):
        ticket = placed(d, facts=asked(prompt_tokens=4000))
        d.sent(ticket, 0.0)
        d.ended(ticket, served(ticket, ttft_s=1.5), 2.0)
    short, long = (placed(d, facts=asked(prompt_tokens=n)).expectations[0].late for n in (900, 9000))
    assert short > 0.35 and long < short / 2
    assert d.state.placement.health("strong").late < short / 2  # The mixture of both is what the page shows.


COHERENT = build([SloSpec("coherence", "coherence", Coherence.Options(), 0.9, DAY_S)])


def turn(d: Dispatcher, turns: int, key: float = 0.5, **more: Any) -> Ticket:
    """Play one turn to its end; who answers follows from the prices."""
    ticket = placed(d, HELPS, facts=asked(draws=(key, 0.9), turns=turns, **more))
    d.sent(ticket, 0.0)
    return ticket


def test_a_second_switch_of_a_conversation_is_a_risk_and_a_bad_event() -> None:
    d = Dispatcher(CATALOG, COHERENT, GAINS, State())
    entries: list[Counter[str]] = []
    for turns, model in enumerate(["strong", "weak", "weak", "strong"], 1):
        ticket = turn(d, turns)
        risks = {e.model: e.breaks for e in ticket.expectations}
        assert risks == ({"strong": 1.0, "weak": 0.0} if turns > 2 else {"strong": 0.0, "weak": 0.0}), turns
        entries.append(counted(d.ended(ticket, Outcome(Reason.SERVED, model, 0.4, 2.0, 400, 9, was_streamed=True), 2.0)))
    valid, bad = COHERENT[0].valid_field, COHERENT[0].bad_field
    assert [(e[valid], e[bad]) for e in entries] == [(0, 0), (1, 0), (1, 0), (1, 1)]


def test_a_price_on_coherence_keeps_a_conversation_on_its_model() -> None:
    d = Dispatcher(CATALOG, COHERENT, GAINS, State())
    for turns, model in enumerate(["strong", "weak"], 1):
        d.ended(turn(d, turns), Outcome(Reason.SERVED, model, 0.4, 2.0, 400, 9), 2.0)
    assert turn(d, 3).choice.model == "strong"  # type: ignore[union-attr]
    d.adopt(Prices(2, 1, "hash", 0.0, "shadow_price", (Price("coherence", "coherence", 0.5, 0.1),), 3.0), Overrides(), 0.0)
    assert turn(d, 3).choice.model == "weak"  # type: ignore[union-attr]
    assert turn(d, 3, key=0.25).choice.model == "strong"  # type: ignore[union-attr]
    assert turn(d, 1).choice.model == "strong"  # type: ignore[union-attr]


def test_who_names_a_model_chooses_for_itself_and_without_such_an_slo_nothing_is_remembered() -> None:
    named, plain = Dispatcher(CATALOG, COHERENT, GAINS, State()), dispatcher()
    for d, more in ((named, {"named": "strong"}), (plain, {})):
        for turns, model in enumerate(["strong", "weak", "strong"], 1):
            assert COHERENT[0].valid_field not in counted(d.ended(turn(d, turns, **more), Outcome(Reason.SERVED, model), 2.0))
        assert d.state.conversations.look(0.5, 9) is None


def test_only_what_a_router_predicted_is_held_against_it() -> None:
    d = dispatcher()
    scored_field, lost_field = QUALITY.scored_field, QUALITY.lost_field
    for qualities, scored in ((HELPS, 1), (None, 0)):
        ticket = placed(d, qualities)
        d.sent(ticket, 0.0)
        entries = counted(d.ended(ticket, served(ticket), 2.0))
        assert (entries[scored_field], entries[lost_field]) == (scored, 100 * scored)


def test_what_nobody_reported_is_marked_as_estimated_the_failed_attempt_included() -> None:
    d = dispatcher()
    ticket = placed(d)
    d.sent(ticket, 0.0)
    assert d.failed(ticket, Reason.UPSTREAM_CUT, 0.5) is not None
    d.sent(ticket, 0.5)
    booking = d.ended(ticket, served(ticket), 2.0)
    lost = round(STRONG.tariff.usd(400, 0) * NANO)
    assert counted(booking)["est"] == lost < counted(booking)["usd"]
    ticket = placed(d)
    d.sent(ticket, 0.0)
    guessed = d.ended(ticket, structs.replace(served(ticket), is_estimated=True), 2.0)
    assert counted(guessed)["est"] == counted(guessed)["usd"] > 0


def test_how_alike_tenants_are_served_is_shown() -> None:
    d = dispatcher()
    assert d.board(0.0)["fairness"] is None
    for _ in range(5):
        ticket = placed(d, facts=asked(tenant="acme"))
        d.sent(ticket, 0.0)
        d.ended(ticket, served(ticket), 2.0)
        d.refused(asked(tenant="small"), Shed(Reason.SHED_OVERLOAD, "full", 1.0), 2.0)
    assert d.board(3.0)["fairness"] == pytest.approx(0.5)


# -- recovery ----------------------------------------------------------------------------------------------------------


def test_a_broken_model_is_tried_and_comes_back() -> None:
    d = dispatcher(catalog=replace(CATALOG, models={"strong": replace(STRONG, backends=(S1,)), "weak": WEAK}))
    one = replace(STRONG, backends=(S1,))
    for _ in range(3):
        d.state.placement.sent(one, S1, 1, 0.0).failed(0.0)
    d.state.placement.health("strong").success = 0.1
    reasons = []
    for i in range(8):
        now_s = 3.0 + i
        ticket = placed(d, at_s=now_s, facts=asked(candidates=(one, WEAK), at_s=now_s))
        assert ticket.placed is not None
        reasons.append((ticket.placed.model.name, ticket.placed.choice.reason))
        d.sent(ticket, now_s)
        d.first_token(ticket, now_s + 0.2)
        d.ended(ticket, served(ticket), now_s + 0.5)
    assert reasons[:4] == [("strong", "probe")] * 4
    assert reasons[4:] == [("strong", "score")] * 4
    assert d.state.placement.health("strong").success > 0.9


def test_trials_after_a_passed_health_probe_are_proof_enough() -> None:
    one = replace(STRONG, backends=(S1,))
    d = dispatcher(catalog=replace(CATALOG, models={"strong": one, "weak": WEAK}))
    for _ in range(3):
        d.state.placement.sent(one, S1, 1, 0.0).failed(0.0)
    d.state.placement.health("strong").success = 0.1
    d.state.placement.probed("strong@s1", "strong", True, 1.0)
    for now_s in (1.1, 2.0):
        ticket = placed(d, facts=asked(candidates=(one, WEAK), at_s=now_s), at_s=now_s)
        d.sent(ticket, now_s)
        d.ended(ticket, served(ticket), now_s + 0.5)
    assert d.state.placement.account("strong@s1", "strong").breaker.state is BreakerState.CLOSED
    assert d.state.placement.health("strong").success == 0.999


def test_while_a_trial_runs_others_stay_away() -> None:
    d = dispatcher()
    break_strong(d)
    first = placed(d, at_s=3.0)
    d.sent(first, 3.0)
    second = placed(d, at_s=3.1)
    d.sent(second, 3.1)  # The other strong backend's trial.
    third = placed(d, at_s=3.2)
    assert {where(first), where(second)} == {"strong@s1", "strong@s2"} and where(third) == "weak@w"


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_tenants_limits_refuse_with_their_own_reason() -> None:
    d = dispatcher()
    for _ in range(2):
        placed(d, facts=asked(tenant="small", prompt_tokens=10))
    shed = d.decide(asked(tenant="small", prompt_tokens=10), HELPS, 0.0)
    assert isinstance(shed, Shed) and shed.reason is Reason.LIMIT_REQUESTS and shed.retry_after_s == pytest.approx(30.0)
    assert FLEET.valid_field not in counted(d.refused(asked(tenant="small"), shed, 0.0))


def test_what_was_taken_too_much_is_given_back() -> None:
    d = dispatcher()
    ticket = placed(d, facts=asked(tenant="small", prompt_tokens=9000, tokens_max=900))
    d.ended(ticket, Outcome(Reason.UPSTREAM_ERROR, None), 0.1)
    placed(d, facts=asked(tenant="small", prompt_tokens=9000, tokens_max=900))


def test_a_request_that_is_shed_after_all_has_used_nothing_up() -> None:
    d = dispatcher()
    full(d)
    hasty = replace(CRITICAL, ttft_deadline_s=0.01)
    for _ in range(2):
        shed = d.decide(structs.replace(to_weak(hasty, tokens=9000), tenant="small"), None, 0.0)
        assert isinstance(shed, Shed) and shed.reason is Reason.SHED_DEADLINE


def limited(**more: Any) -> Dispatcher:
    tenant = Tenant("acme", (), "standard", **more)
    return dispatcher(catalog=replace(CATALOG, tenants={**CATALOG.tenants, "acme": tenant}))


def test_an_unlimited_tenant_takes_from_nothing() -> None:
    d = dispatcher()
    assert placed(d).draw is None and not d.is_limited(asked()) and d.is_limited(asked(tenant="small"))


def test_a_key_has_limits_of_its_own_within_the_tenants() -> None:
    key = "ab" * 32
    d = limited(key_limits={key: Limits(rpm=1)})
    placed(d, facts=asked(key=key))
    shed = d.decide(asked(key=key), HELPS, 0.0)
    assert isinstance(shed, Shed) and shed.message == "tenant acme has used up its limit of 1 requests per minute for this key"
    placed(d, facts=asked())


def test_where_a_models_limit_is_used_up_the_next_best_model_answers_and_a_call_for_it_by_name_is_refused() -> None:
    d = limited(model_limits={"strong": Limits(rpm=1)})
    assert where(placed(d)) == "strong@s1"
    ticket = placed(d)
    assert where(ticket) == "weak@w" and ticket.choice is not None and ticket.choice.model == "strong"
    assert ticket.placed is not None and ticket.placed.choice.reason == "fallback"
    shed = d.decide(asked(candidates=(STRONG,), route="strong"), None, 0.0)
    assert isinstance(shed, Shed) and "for model strong" in shed.message
    d.ended(ticket, served(ticket), 1.0)


def test_a_fallback_takes_from_the_other_models_limit_or_does_not_go_there() -> None:
    d = limited(model_limits={"weak": Limits(rpm=1)})
    for at_s, expected in ((0.0, "weak@w"), (2.0, None)):
        ticket = placed(d, at_s=at_s)
        for _ in range(2):
            assert where(ticket).startswith("strong@")
            d.sent(ticket, at_s)
            again = d.failed(ticket, Reason.UPSTREAM_RATE_LIMITED, at_s, 1.0)
        assert (where(ticket) if again is not None and not again.is_retry else None) == expected
        d.ended(ticket, Outcome(Reason.UPSTREAM_RATE_LIMITED, None), at_s)


def shared(d: Dispatcher) -> Dispatcher:
    d.state.limits.share_with_others()
    return d


def test_a_request_whose_units_are_not_at_hand_waits_for_the_store_and_goes_on_where_it_was() -> None:
    d = shared(dispatcher())
    ticket = d.decide(asked(tenant="small"), HELPS, 0.0)
    assert isinstance(ticket, Ticket) and ticket.lacks and ticket.placed is None and ticket.draw is not None
    vaults = {lease: Vault("v") for lease, _ in ticket.draw.lacking}
    asks = [lease.ask(0.0, units, units) for lease, units in ticket.draw.lacking]
    heard = [(lease, a, vaults[lease].answer(a, "me", 0.0, 0)) for lease, a in zip(vaults, asks, strict=True)]
    d.state.limits.hear(heard, 0.0, 0.0, 0.0)
    assert d.state.limits.take(ticket.draw, 0.0, 0.0, was_asked=True) is None
    assert d.drawn(ticket, None, 0.0) is ticket and where(ticket) == "strong@s1" and not ticket.lacks
    d.sent(ticket, 0.0)
    d.ended(ticket, served(ticket), 1.0)
    assert is_idle(d.state)


def test_a_request_that_the_store_refuses_is_refused_and_nothing_is_taken() -> None:
    d = shared(dispatcher())
    ticket = d.decide(asked(tenant="small"), HELPS, 0.0)
    assert isinstance(ticket, Ticket) and ticket.lacks
    shed = Shed(Reason.LIMIT_REQUESTS, "no", 1.0)
    assert d.drawn(ticket, shed, 0.0) is shed
    d.ended(ticket, Outcome(Reason.LIMIT_REQUESTS, None), 0.0)
    assert is_idle(d.state) and all(lease.used == 0 for lease in d.state.limits._leases.values())


def test_how_limits_stand_is_told_of_the_model_that_answers() -> None:
    d = limited(limits=Limits(rpm=60), model_limits={"strong": Limits(rpm=6), "weak": Limits(rpm=3)})
    ticket = placed(d)
    ((_, limit, left, whole_s),) = d.standing(ticket.facts, ticket, 0.0, 0.0)
    assert (limit, left, whole_s) == (6, 5, pytest.approx(10.0))
    assert d.standing(asked(candidates=(WEAK,)), None, 0.0, 0.0)[0][1:3] == (3, 3)


# -- queue -------------------------------------------------------------------------------------------------------------


def to_weak(klass: TrafficClass = STANDARD, at_s: float = 0.0, tokens: int = 900) -> RequestFacts:
    return asked(klass, at_s, candidates=(WEAK,), route="weak", prompt_tokens=tokens)


def full(d: Dispatcher) -> Ticket:
    ticket = placed(d, None, facts=to_weak())
    d.sent(ticket, 0.0)
    return ticket


def test_without_room_a_request_waits_until_a_prompt_is_processed() -> None:
    d = dispatcher()
    ahead = full(d)
    ticket = d.decide(to_weak(at_s=0.1), None, 0.1)
    assert isinstance(ticket, Ticket) and ticket.placed is None and d.waiting == 1
    assert d.next_ready(0.2) == []
    d.first_token(ahead, 0.3)
    assert d.next_ready(0.3) == [(ticket, None)] and d.waiting == 0
    assert where(ticket) == "weak@w" and ticket.queued_s == pytest.approx(0.2)
    d.sent(ticket, 0.3)
    account = d.state.placement.account("weak@w", "weak")
    assert account.load.in_flight == 2 and ticket.attempts == 1  # Reserved once, though the queue and `sent` both could.
    d.ended(ahead, served(ahead), 1.0)
    d.ended(ticket, served(ticket), 1.0)
    assert is_idle(d.state)


def test_what_leaves_the_queue_is_reserved_at_once_or_all_would_see_the_same_room() -> None:
    d = dispatcher()
    ahead = full(d)
    waiting = [d.decide(to_weak(at_s=0.1), None, 0.1) for _ in range(3)]
    d.first_token(ahead, 0.3)
    assert d.next_ready(0.3) == [(waiting[0], None)]
    assert d.next_ready(0.3) == []


def test_a_small_request_does_not_overtake_a_larger_one_of_its_class() -> None:
    d = dispatcher()
    full(d)
    d.decide(to_weak(at_s=0.1), None, 0.1)
    small = d.decide(to_weak(at_s=0.2, tokens=50), None, 0.2)  # There would be room for it.
    assert isinstance(small, Ticket) and small.placed is None and d.waiting == 2


def test_nobody_slips_in_between_the_room_and_those_who_wait_for_it() -> None:
    d = dispatcher()
    ahead = full(d)
    first = d.decide(to_weak(at_s=0.1), None, 0.1)
    d.first_token(ahead, 0.3)
    second = d.decide(to_weak(at_s=0.3), None, 0.3)
    assert isinstance(second, Ticket) and second.placed is None
    assert d.next_ready(0.3) == [(first, None)]


def test_a_better_class_overtakes() -> None:
    d = dispatcher()
    ahead = full(d)
    batch, critical = d.decide(to_weak(BATCH, 0.1), None, 0.1), d.decide(to_weak(CRITICAL, 0.2), None, 0.2)
    d.first_token(ahead, 0.3)
    assert d.next_ready(0.3) == [(critical, None)]
    assert isinstance(batch, Ticket) and batch.placed is None


def test_a_request_whose_deadline_passes_in_the_queue_is_refused() -> None:
    d = dispatcher()
    full(d)
    facts = to_weak(replace(CRITICAL, ttft_deadline_s=5.0), 0.1)
    ticket = d.decide(facts, None, 0.1)
    assert isinstance(ticket, Ticket) and ticket.placed is None
    ((out, shed),) = d.next_ready(6.0)
    assert out is ticket and isinstance(shed, Shed) and shed.reason is Reason.SHED_DEADLINE
    booking = d.ended(ticket, Outcome(shed.reason, None, attempts=0), 6.0)
    entries = counted(booking)
    assert entries["shed.shed_deadline.critical"] == 1 and entries[FLEET.bad_field] == 1 and d.waiting == 0


def test_a_shed_is_no_event_for_a_class_that_exempts_it() -> None:
    d = dispatcher()
    booking = d.refused(to_weak(BATCH), Shed(Reason.SHED_OVERLOAD, "full", 1.0), 0.0)
    assert counted(booking)["shed.shed_overload.batch"] == 1 and FLEET.valid_field not in counted(booking)


def test_a_client_that_leaves_the_queue_is_taken_out_of_it() -> None:
    d = dispatcher()
    ahead = full(d)
    ticket = d.decide(to_weak(at_s=0.1), None, 0.1)
    assert isinstance(ticket, Ticket)
    d.ended(ticket, Outcome(Reason.CLIENT_CANCELLED, None, attempts=0), 0.2)
    assert d.waiting == 0
    d.first_token(ahead, 0.3)
    assert d.next_ready(0.3) == []


def test_a_request_that_would_be_refused_takes_another_model_with_room() -> None:
    d = dispatcher()
    d.adopt(priced(5.0, version=2), Overrides(), 0.0)
    busy = placed(d, None, facts=to_weak(tokens=30_000))
    d.sent(busy, 0.0)
    ticket = placed(d, HARDLY, facts=asked(replace(CRITICAL, ttft_deadline_s=0.5), prompt_tokens=25_000))
    assert ticket.placed is not None and where(ticket) == "strong@s1"
    assert (ticket.placed.choice.model, ticket.placed.choice.reason) == ("strong", "fallback")


def test_a_model_that_an_edit_took_away_lets_its_queue_go_elsewhere() -> None:
    state = State()
    before = dispatcher(state=state)
    before.adopt(priced(5.0, version=2), Overrides(), 0.0)
    full(before)
    ticket = before.decide(asked(), HARDLY, 0.1)
    assert isinstance(ticket, Ticket) and ticket.placed is None
    after = dispatcher(state=state, catalog=replace(CATALOG, models={"strong": STRONG}))
    assert after.next_ready(0.2) == [(ticket, None)] and where(ticket) == "strong@s1"


# -- observe and overrides ---------------------------------------------------------------------------------------------


def test_observing_changes_nothing_and_says_what_it_would_have_done() -> None:
    d = dispatcher(mode="observe")
    d.adopt(priced(5.0, version=2), Overrides(), 1.0)
    ticket = placed(d)
    assert ticket.placed is not None and (where(ticket), ticket.placed.choice.reason) == ("strong@s1", "observe")
    d.sent(ticket, 0.0)
    line = as_line(d.ended(ticket, served(ticket), 1.0).record)
    assert (line["mode"], line["choice"], line["why"], line["model"]) == ("observe", "weak", "score", "strong")


def test_observing_still_avoids_what_is_down() -> None:
    d = dispatcher(mode="observe")
    break_strong(d)
    assert where(placed(d, at_s=0.5)) == "weak@w"


def test_a_pin_holds_until_it_expires() -> None:
    d = dispatcher()
    d.adopt(priced(0.0), Overrides({"auto": Pin("auto", 0.9, until_wall_s=100.0)}), 0.0)
    for wall_s, model in ((99.0, "weak"), (100.0, "strong")):
        ticket = d.decide(asked(), HELPS, 0.0, wall_s)
        assert isinstance(ticket, Ticket) and ticket.placed is not None and ticket.placed.model.name == model


# -- board and books ---------------------------------------------------------------------------------------------------


def test_the_board_shows_backends_queue_and_overrides() -> None:
    d = dispatcher()
    d.adopt(priced(0.0), Overrides({"auto": Pin("auto", 0.9, 100.0, "kim")}, 50.0, "lee"), 3.0)
    full(d)
    d.decide(to_weak(at_s=0.1), None, 0.1)
    board = d.board(5.0)
    assert [b["id"] for b in board["backends"]] == ["strong@s1", "strong@s2", "weak@w"]
    weak = board["backends"][2]
    assert (weak["breaker"], weak["in_flight"], weak["pending_tokens"]) == ("closed", 1, 900) and weak["ttft_s"] > 0
    assert board["queue"] == {"waiting": 1} and board["prices_version"] == 1 and board["prices_age_s"] == 2.0
    assert board["overrides"]["pins"] == [{"route": "auto", "threshold": 0.9, "until_wall_s": 100.0, "by": "kim"}]
    assert (board["overrides"]["frozen_until_wall_s"], board["overrides"]["frozen_by"]) == (50.0, "lee")
    assert board["reserved_usd"] > 0


def test_before_any_prices_the_better_answer_wins_and_the_board_says_so() -> None:
    d = Dispatcher(CATALOG, SLOS, GAINS, State())
    assert where(placed(d)) == "strong@s1"
    assert d.board(5.0)["prices_version"] is None and d.board(5.0)["prices_age_s"] is None


ENDINGS = st.sampled_from([Reason.SERVED, Reason.CLIENT_CANCELLED, Reason.UPSTREAM_CUT, Reason.UPSTREAM_ERROR, Reason.UPSTREAM_REFUSED])
FAILURES = st.lists(
    st.sampled_from([Reason.UPSTREAM_ERROR, Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_RATE_LIMITED, Reason.UPSTREAM_TIMEOUT_TTFT]),
    max_size=3,
)
STORIES = st.lists(
    st.tuples(st.sampled_from([CRITICAL, STANDARD, BATCH]), st.integers(1, 900), FAILURES, ENDINGS, st.booleans()), max_size=25
)


@settings(max_examples=80, deadline=None)
@given(STORIES, st.sampled_from(["enforce", "observe"]))
def test_whatever_happens_every_request_is_counted_once_and_nothing_stays_reserved(stories: list[Any], mode: str) -> None:
    d, now_s, entries = dispatcher(mode), 0.0, list[Entry]()
    d.adopt(priced(0.3, version=2), Overrides(), 0.0)
    running: list[tuple[Ticket, list[Reason], Reason]] = []

    def send(ticket: Ticket, failures: list[Reason], reason: Reason) -> None:
        d.sent(ticket, now_s)
        for failure in failures:
            again = d.failed(ticket, failure, now_s)
            if again is None:
                entries.extend(d.ended(ticket, Outcome(failure, None, attempts=ticket.attempts), now_s).entries)
                return
            d.sent(ticket, now_s)
        running.append((ticket, failures, reason))

    plans: dict[Ticket, tuple[list[Reason], Reason]] = {}
    for klass, tokens, failures, reason, ends_one in stories:
        now_s += 0.2
        facts = asked(klass, now_s, prompt_tokens=tokens)
        decided = d.decide(facts, HELPS, now_s)
        if isinstance(decided, Shed):
            entries += d.refused(facts, decided, now_s).entries
        else:
            entries += decided.opening
            plans[decided] = (failures, reason)
            if decided.placed is not None:
                send(decided, failures, reason)
        if ends_one and running:
            ticket, _, ending = running.pop(0)
            entries += d.ended(ticket, structs.replace(served(ticket), reason=ending), now_s).entries
        for ticket, shed in d.next_ready(now_s):
            if shed is None:
                send(ticket, *plans[ticket])
            else:
                entries += d.ended(ticket, Outcome(shed.reason, None, attempts=0), now_s).entries
    while running or d.waiting:
        now_s += 1.0
        for ticket, _, ending in running:
            entries += d.ended(ticket, structs.replace(served(ticket), reason=ending), now_s).entries
        running = []
        for ticket, shed in d.next_ready(now_s):
            if shed is None:
                send(ticket, [], Reason.SERVED)
            else:
                entries += d.ended(ticket, Outcome(shed.reason, None, attempts=0), now_s).entries
    booked = total(entries)
    assert booked["req"] == booked["n"] == len(stories)
    assert sum(amount for name, amount in booked.items() if name.startswith("end.")) == len(stories)
    assert sum(amount for name, amount in booked.items() if name.startswith("k.")) == len(stories)
    assert booked[FLEET.bad_field] <= booked[FLEET.valid_field] <= len(stories)
    assert is_idle(d.state)
    assert SPEND.bad_field == "usd" and booked["usd"] == sum(a for n, a in booked.items() if n.startswith("r.") and n.endswith(".usd"))
