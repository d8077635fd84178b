import json
from typing import Any

import pytest

from gateway.domain.decision import Shed
from gateway.domain.errors import GatewayError, Reason
from gateway.wire.refusal import Refusal, error_body, refusal, terminal_event, upstream_body


def error_of(body: bytes) -> dict[str, Any]:
    told = json.loads(body)
    assert list(told) == ["error"]
    error: dict[str, Any] = told["error"]
    return error


def header(answer: Refusal, name: str) -> str | None:
    found = [text for key, text in answer.headers if key == name]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.SERVED])
def test_every_reason_is_said_with_the_four_keys(reason: Reason):
    answer = refusal(GatewayError(reason, "what happened"))
    assert answer.status == reason.ending.status
    assert error_of(answer.body) == {"message": "what happened", "type": reason.ending.type, "param": None, "code": reason.value}
    assert header(answer, "content-type") == "application/json"
    assert (header(answer, "retry-after") is not None) == (answer.status in (429, 503))
    assert header(answer, "x-should-retry") in (None, "false")
    assert (header(answer, "www-authenticate") is not None) == (answer.status == 401)


def test_the_parameter_is_named():
    assert error_of(refusal(GatewayError(Reason.UNKNOWN_MODEL, "no model `x`", "model")).body)["param"] == "model"


@pytest.mark.parametrize(
    ("wait_s", "seconds", "millis"),
    [(0.2, "1", "200"), (1.0, "1", "1000"), (1.2, "2", "1200"), (0.0, "1", "1"), (None, "1", "1000"), (7.0, "7", "7000")],
)
def test_a_wait_is_told_in_whole_seconds_and_in_milliseconds(wait_s: float | None, seconds: str, millis: str):
    answer = refusal(GatewayError(Reason.LIMIT_REQUESTS, "slow down", retry_after_s=wait_s))
    assert (header(answer, "retry-after"), header(answer, "retry-after-ms")) == (seconds, millis)


def test_our_own_sheds_turn_the_sdks_retries_off():
    answer = refusal(Shed(Reason.SHED_DEADLINE, "too busy for a first token in 2 s", 3.4))
    assert (answer.status, header(answer, "retry-after"), header(answer, "x-should-retry")) == (503, "4", "false")


def test_a_short_limit_may_be_retried_and_one_longer_than_the_sdk_waits_may_not():
    assert header(refusal(GatewayError(Reason.LIMIT_REQUESTS, "m", retry_after_s=60.0)), "x-should-retry") is None
    assert header(refusal(GatewayError(Reason.LIMIT_USD, "m", retry_after_s=3600.0)), "x-should-retry") == "false"


def test_what_a_retry_cannot_mend_is_not_retried():
    assert header(refusal(GatewayError(Reason.UPSTREAM_AUTH, "m")), "x-should-retry") == "false"
    assert header(refusal(GatewayError(Reason.UPSTREAM_CUT, "m")), "x-should-retry") is None


def test_an_ambiguous_request_ends_its_connection():
    assert refusal(GatewayError(Reason.AMBIGUOUS_REQUEST, "m")).must_close
    assert not refusal(GatewayError(Reason.BAD_JSON, "m")).must_close


def test_half_a_surrogate_in_a_message_is_no_crash():
    assert error_of(error_body(Reason.UNKNOWN_MODEL, "no model \ud800"))["message"] == "no model ?"


def test_the_terminal_event_is_an_error_and_not_done():
    event = terminal_event(Reason.UPSTREAM_CUT, 'the backend\nhung up "early"')
    assert event.startswith(b"data: ") and event.endswith(b"}\n\n") and event.count(b"\n") == 2
    assert error_of(event[6:])["code"] == "upstream_cut"
    assert b"[DONE]" not in event


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "bad", "type": "t", "param": null, "code": null, "vendor": [1.50]}}\n',
        b'{"error":{"code":400,"message":"llama.cpp","type":"invalid_request_error"}}',
        b'{"x":1,"error":{"message":"bad"}}',
    ],
)
def test_an_error_object_of_a_backend_passes_byte_for_byte(body: bytes):
    answer = upstream_body(400, body, "application/json; charset=utf-8")
    assert (answer.status, answer.body, header(answer, "content-type")) == (400, body, "application/json; charset=utf-8")


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"<html>nginx</html>", "text/html", "the backend answered with HTTP 500 and no error object"),
        (b"", "", "the backend answered with HTTP 500 and no error object"),
        (b"out of\n memory", "text/plain; charset=utf-8", "the backend answered with HTTP 500: out of memory"),
        (b'{"error":"model crashed"}', "application/json", "the backend answered with HTTP 500: model crashed"),
        (b'{"detail":"Internal"}', "application/json", "the backend answered with HTTP 500: Internal"),
        (b'{"object":"error","message":"old"}', "application/json", "the backend answered with HTTP 500: old"),
        (b'{"error":{"code":1}}', "application/json", "the backend answered with HTTP 500 and no error object"),
        (b'{"error":{"message":null}}', "application/json", "the backend answered with HTTP 500 and no error object"),
        (b"[1]", "application/json", "the backend answered with HTTP 500 and no error object"),
        (b"\xff\xfe", "text/plain", "the backend answered with HTTP 500: \ufffd\ufffd"),
    ],
)
def test_anything_else_is_wrapped(body: bytes, content_type: str, message: str):
    answer = upstream_body(500, body, content_type)
    assert answer.status == 500
    assert error_of(answer.body) == {"message": message, "type": "server_error", "param": None, "code": "upstream_error"}


def test_a_wrapped_text_is_short():
    assert len(upstream_body(500, b"x" * 1_000_000, "text/plain").body) < 800


@pytest.mark.parametrize("status", [401, 403, 407])
def test_refused_credentials_are_our_fault_and_the_key_in_the_text_stays_here(status: int):
    answer = upstream_body(status, b'{"error":{"message":"Incorrect API key provided: sk-secret"}}', "application/json")
    assert (answer.status, error_of(answer.body)["code"]) == (502, "upstream_auth")
    assert b"sk-secret" not in answer.body


@pytest.mark.parametrize("status", [204, 302, 101])
def test_a_status_that_is_neither_answer_nor_error_is_a_bad_answer(status: int):
    answer = upstream_body(status, b"", "")
    assert (answer.status, error_of(answer.body)["code"]) == (502, "upstream_bad_answer")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("body", [b'{"error":{"message":"slow down"}}', b"busy"])
def test_a_backend_that_asks_for_a_wait_is_quoted_and_one_that_does_not_gets_a_default(status: int, body: bytes):
    assert header(upstream_body(status, body, "application/json", 7.0), "retry-after") == "7"
    assert header(upstream_body(status, body, "application/json"), "retry-after") == "1"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (404, "invalid_request_error"), (429, "rate_limit_error"), (503, "server_error")]
)
def test_the_type_follows_the_status(status: int, kind: str):
    assert error_of(upstream_body(status, b"", "").body)["type"] == kind
