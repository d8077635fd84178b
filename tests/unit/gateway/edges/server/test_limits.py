"""What the parser's complaints mean (that nothing ambiguous passes is shown over sockets in tests/integration/gateway)."""

import json

import pytest
from aiohttp import http_exceptions as parser

from gateway.domain.errors import GatewayError, Reason
from gateway.edges.server.limits import as_bytes, parser_error, slow, too_large_head
from gateway.edges.server.options import ServerOptions
from gateway.wire.refusal import refusal


@pytest.mark.parametrize(
    ("exc", "reason"),
    [
        (parser.LineTooLong(b"x", 100), Reason.HEADERS_TOO_LARGE),
        (parser.BadHttpMessage("Too many headers received"), Reason.HEADERS_TOO_LARGE),
        (parser.BadStatusLine("GARBAGE"), Reason.BAD_REQUEST),
        (parser.BadHttpMethod("\x16\x03"), Reason.BAD_REQUEST),
        (parser.InvalidURLError("http://["), Reason.BAD_REQUEST),
        (parser.InvalidHeader("X"), Reason.AMBIGUOUS_REQUEST),
        (parser.TransferEncodingError("chunk"), Reason.AMBIGUOUS_REQUEST),
        (parser.BadHttpMessage("Content-Length can't be present with Transfer-Encoding:\n\n  x\n  ^"), Reason.AMBIGUOUS_REQUEST),
        (None, Reason.AMBIGUOUS_REQUEST),
    ],
)
def test_complaints_are_told_apart(exc, reason):
    error = parser_error(exc)
    assert error.reason is reason and "\n" not in error.message and "^" not in error.message


def test_a_refusal_before_a_request_is_a_whole_answer():
    said = as_bytes(refusal(slow(ServerOptions(read_timeout=3.0))))
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n") and b"connection: close" in head
    assert b"content-length: %d" % len(body) in head
    assert json.loads(body)["error"]["code"] == "request_timeout" and "3 s" in json.loads(body)["error"]["message"]


def test_limits_are_named_in_their_errors():
    assert "4096" in too_large_head(ServerOptions(headers_max=4096)).message
    assert isinstance(slow(ServerOptions()), GatewayError)
