"""What every indicator answers."""

import pytest

from gateway.core.budget.sli import Sli
from gateway.core.budget.slis.registry import SLIS
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation

E = Expectation("m", quality=0.7, success=0.9, late=0.2, usd=0.003, completion_tokens=100)


def built(kind: str) -> Sli:
    required: dict[str, tuple[float, ...]] = {"ttft": (1.0,), "cost": (1.0,), "itl": (1.0, 10.0, 2.0)}
    options = SLIS[kind].Options(*required.get(kind, ()))  # type: ignore[attr-defined]
    return SLIS[kind](options)


@pytest.mark.parametrize(("kind", "risk"), [("availability", 0.1), ("ttft", 0.2), ("quality", 0.3), ("cost", 0.003)])
def test_each_kind_charges_what_a_candidate_would_take_of_it(kind: str, risk: float) -> None:
    assert SLIS[kind].risk(E) == pytest.approx(risk)


@pytest.mark.parametrize("kind", SLIS)
@pytest.mark.parametrize("reason", Reason)
def test_every_ending_has_a_verdict_or_is_no_event(kind: str, reason: Reason) -> None:
    assert built(kind).judge(Outcome(reason, "m", 0.5, 1.0, was_streamed=True)) in (True, False, None)


@pytest.mark.parametrize("kind", SLIS)
def test_what_clients_did_wrong_is_no_event_of_any_kind(kind: str) -> None:
    for reason in (Reason.BAD_JSON, Reason.UNKNOWN_KEY, Reason.NOT_ALLOWED, Reason.UNKNOWN_MODEL, Reason.BODY_TOO_LARGE, Reason.LIMIT_USD):
        assert built(kind).judge(Outcome(reason, None)) is None
