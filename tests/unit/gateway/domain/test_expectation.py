"""What a candidate would probably do."""

from gateway.core.routing.record import EXPECTATION_FIELDS
from gateway.domain.expectation import Expectation


def test_the_fields_stand_in_the_order_in_which_logs_hold_them() -> None:
    values = ("m", 0.8, 0.99, 0.01, 0.002, 211, 0.05, 1.0)
    e = Expectation(*values)
    assert tuple(getattr(e, name) for name in EXPECTATION_FIELDS) == values


def test_a_candidate_keeps_pace_and_conversation_unless_somebody_knows_better() -> None:
    e = Expectation("m", 0.8, 0.99, 0.01, 0.002, 211)
    assert (e.stall, e.breaks) == (0.0, 0.0)
