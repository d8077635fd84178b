"""A ticket that nothing was decided on yet, and the record of what came of it."""

from gateway.core.routing.record import RECORD_FIELDS, as_line
from gateway.core.tenants.limits import Draw
from gateway.core.ticket import Booking, Ticket
from gateway.domain.catalog import Model, Tariff, TrafficClass
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.facts import Endpoint, RequestFacts

FACTS = RequestFacts(
    "req_1", Endpoint.CHAT, "acme", TrafficClass("standard", 3.0, 30.0, 1), "auto", (Model("weak", Tariff(0.15, 0.6), 8_000, ()),),
    400, None, True, 0.0, (0.5, 0.9),
)  # fmt: skip


def test_a_ticket_lacks_units_only_between_a_draw_and_their_taking() -> None:
    ticket = Ticket(FACTS, [("req", 1)])
    assert not ticket.lacks
    ticket.draw = Draw([])
    assert ticket.lacks
    ticket.draw.is_taken = True
    assert not ticket.lacks


def test_a_record_has_every_field_also_of_a_request_that_was_never_decided() -> None:
    booking = Booking([], 0.0, Ticket(FACTS, []), Outcome(Reason.SHED_OVERLOAD, None, total_s=0.25, attempts=0), 1000.0)
    assert len(booking.record) == len(RECORD_FIELDS)
    line = as_line(booking.record)
    assert (line["kind"], line["wall_s"], line["request_id"], line["endpoint"]) == ("decision", 1000.0, "req_1", "chat")
    assert (line["class"], line["reason"], line["total_s"], line["attempts"]) == ("standard", "shed_overload", 0.25, 0)
    assert line["prices_version"] is None and line["choice"] is None and line["backend"] is None


def test_a_record_tells_what_the_ticket_went_through() -> None:
    ticket = Ticket(FACTS, [])
    ticket.attempts, ticket.queued_s, ticket.mode = 2, 0.5, "observe"
    outcome = Outcome(Reason.SERVED, "weak", 0.3, 1.5, 410, 20, 100, is_estimated=True, attempts=2, was_streamed=True)
    line = as_line(Booking([], 0.002, ticket, outcome, 1000.0).record)
    assert (line["attempts"], line["queued_s"], line["mode"], line["usd"], line["estimated"]) == (2, 0.5, "observe", 0.002, True)
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"], line["ttft_s"]) == (410, 20, 100, 0.3)
