"""Availability: which endings count, and how."""

import pytest

from gateway.core.budget.slis.availability import EXCLUDED, Availability
from gateway.domain.errors import ENDINGS, Fault, Reason
from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation

SLI = Availability(Availability.Options())
VERDICTS: dict[str, bool | None] = {
    "served": True,
    # What the client did wrong, and what it had used up.
    "upstream_refused": None, "invalid_request": None, "invalid_json": None, "ambiguous_request": None, "missing_api_key": None,
    "invalid_api_key": None, "not_allowed": None, "model_not_found": None, "unknown_path": None, "method_not_allowed": None,
    "request_timeout": None, "body_too_large": None, "headers_too_large": None, "context_length_exceeded": None,
    "limit_requests": None, "limit_tokens": None, "limit_usd": None, "client_cancelled": None,
    # What we, or our backends, did.
    "limit_streams": False, "shed_overload": False, "shed_deadline": False, "no_backend": False, "upstream_unreachable": False,
    "upstream_auth": False, "upstream_error": False, "upstream_rate_limited": False, "upstream_timeout_connect": False,
    "upstream_timeout_ttft": False, "upstream_timeout_idle": False, "upstream_timeout_total": False, "upstream_cut": False,
    "upstream_bad_answer": False, "shutting_down": False, "internal_error": False,
}  # fmt: skip
"""Written out and not derived: a new reason fails here until somebody has thought about it."""


@pytest.mark.parametrize("reason", Reason)
def test_every_way_to_end_has_its_verdict(reason: Reason) -> None:
    assert SLI.judge(Outcome(reason, None)) is VERDICTS[reason.value]


def test_only_statuses_of_the_closed_list_are_no_events() -> None:
    assert {reason.ending.status for reason in EXCLUDED} == {400, 401, 403, 404, 405, 408, 413, 429, 431}


def test_a_whole_answer_is_good_however_many_attempts_it_took() -> None:
    assert SLI.judge(Outcome(Reason.SERVED, "m", attempts=1)) is True
    assert SLI.judge(Outcome(Reason.SERVED, "m", attempts=3)) is True


@pytest.mark.parametrize("reason", [r for r, e in ENDINGS.items() if e.fault in (Fault.BACKEND, Fault.US)])
def test_our_own_and_our_backends_failures_are_bad(reason: Reason) -> None:
    assert SLI.judge(Outcome(reason, None)) is False


@pytest.mark.parametrize(
    "reason", [r for r, e in ENDINGS.items() if e.fault is Fault.CLIENT and r not in (Reason.CLIENT_CANCELLED, Reason.LIMIT_STREAMS)]
)
def test_a_clients_mistake_is_no_event(reason: Reason) -> None:
    assert SLI.judge(Outcome(reason, None)) is None


def test_sheds_are_bad_or_refusing_would_polish_the_figure() -> None:
    assert SLI.judge(Outcome(Reason.SHED_OVERLOAD, None)) is False
    assert SLI.judge(Outcome(Reason.SHED_DEADLINE, None)) is False


def test_a_client_that_leaves_after_its_deadline_has_voted() -> None:
    assert SLI.judge(Outcome(Reason.CLIENT_CANCELLED, None, before_deadline=True)) is None
    assert SLI.judge(Outcome(Reason.CLIENT_CANCELLED, None, before_deadline=False)) is False


def test_the_risk_is_that_the_attempt_fails() -> None:
    assert Availability.risk(Expectation("m", 0.5, 0.75, 0.1, 1.0, 10)) == 0.25
