import re

from gateway.domain.errors import ENDINGS, Fault, GatewayError, Reason


def test_every_reason_has_an_ending():
    assert set(ENDINGS) == set(Reason)


def test_codes_are_lower_snake_case_and_unique():
    values = [r.value for r in Reason]
    assert len(set(values)) == len(values)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", v) for v in values)


def test_what_the_client_did_wrong_is_a_4xx_and_what_we_did_is_not():
    for reason in Reason:
        ending = reason.ending
        if ending.fault is Fault.CLIENT:
            assert 400 <= ending.status < 500, reason
        if ending.fault in (Fault.US, Fault.BACKEND):
            assert ending.status >= 500 or reason is Reason.UPSTREAM_RATE_LIMITED, reason


def test_every_ending_but_success_has_a_type_and_says_whether_to_retry():
    for reason in Reason:
        assert reason.ending.retry
        if reason is not Reason.SERVED:
            assert reason.ending.type


def test_an_upstream_that_refuses_our_key_is_our_fault():
    assert Reason.UPSTREAM_AUTH.ending.fault is Fault.US
    assert Reason.UPSTREAM_AUTH.ending.status == 502


def test_an_error_carries_where_and_when():
    error = GatewayError(Reason.LIMIT_TOKENS, "too many", param="messages", retry_after_s=2.5)
    assert (str(error), error.param, error.retry_after_s, error.reason.ending.status) == ("too many", "messages", 2.5, 429)
