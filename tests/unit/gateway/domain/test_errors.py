"""The closed list of endings."""

import re

import pytest

from gateway.domain.errors import ENDINGS, Fault, GatewayError, Reason


def test_every_reason_has_an_ending_and_a_label_of_its_own() -> None:
    assert set(ENDINGS) == set(Reason)
    assert len({r.value for r in Reason}) == len(Reason)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", r.value) for r in Reason)


@pytest.mark.parametrize("reason", Reason)
def test_status_type_and_fault_agree(reason: Reason) -> None:
    ending = reason.ending
    if reason is Reason.SERVED:
        assert (ending.status, ending.fault) == (200, Fault.NOBODY)
        return
    assert 400 <= ending.status < 600 and ending.type.endswith("_error")
    if ending.status >= 500:
        assert ending.fault in (Fault.BACKEND, Fault.US)
    elif reason is not Reason.UPSTREAM_RATE_LIMITED:
        assert ending.fault is Fault.CLIENT
    assert ending.retry.startswith(("yes", "no"))


def test_what_can_pass_says_when_to_come_back() -> None:
    for reason in Reason:
        if reason.ending.status in (429, 503):
            assert "yes" in reason.ending.retry, reason


def test_a_backend_that_refuses_our_key_is_our_fault() -> None:
    assert (Reason.UPSTREAM_AUTH.ending.fault, Reason.UPSTREAM_AUTH.ending.status) == (Fault.US, 502)


def test_an_error_carries_what_the_client_is_told() -> None:
    error = GatewayError(Reason.UNKNOWN_MODEL, "no such model", param="model", retry_after_s=None)
    assert (error.reason, error.message, error.param, str(error)) == (Reason.UNKNOWN_MODEL, "no such model", "model", "no such model")
