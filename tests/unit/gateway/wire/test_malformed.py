import msgspec
import pytest

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import Endpoint
from gateway.wire.malformed import malformed, too_deep, unfit
from gateway.wire.request import decode


def refused(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        decode(Endpoint.CHAT, body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is empty; send a JSON object"),
        (b"  \n", "the body is empty; send a JSON object"),
        (b'{"model":"a",\n "x": NaN}', "at line 2, column 7 (byte 20): JSON has no NaN and no Infinity; use null"),
        (b'{"model":"a","x":-Infinity}', "JSON has no NaN"),
        (b'{"model":"a","messages":[],}', "at line 1, column 28 (byte 27): trailing comma in object"),
        (b'{"model":"a","messages":[{"role":"us', "it ends too early, after 36 bytes"),
        (b'{"model":"\xff"}', "the body is not UTF-8 at line 1, column 11 (byte 10); encode it as UTF-8"),
        (b'\xef\xbb\xbf{"model":"a"}', "the body starts with a byte order mark"),
        (b'{"model":"a","x":"ab\\ud83d"}', "half a surrogate pair at line 1, column 21 (byte 20)"),
        (b'{"model":"a","x":"\\udc00"}', "half a surrogate pair at line 1, column 19 (byte 18)"),
        ('{"model":"a"}'.encode("utf-16"), "the body is not UTF-8"),
        (b'{"x":' + b"[" * 100_000, "nested more than 200 levels deep"),
    ],
)
def test_a_broken_body_is_told_where_and_what_to_do(body: bytes, told: str):
    error = refused(body)
    assert error.reason is Reason.BAD_JSON
    assert told in error.message


def test_a_whole_pair_and_an_escaped_backslash_are_no_half_pair():
    assert (
        decode(Endpoint.CHAT, b'{"model":"a","messages":[{"role":"user","content":"\\ud83d\\ude00 \\\\ud83d"}]}').prompt_text
        == "😀 \\ud83d"
    )


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [
        (b"[]", None, "the body must be an object, not an array"),
        (b'"x"', None, "the body must be an object, not a string"),
        (b'{"messages":[]}', "model", "`model` is missing; it is required"),
        (b'{"model":"a"}', "messages", "`messages` is missing; it is required"),
        (b'{"model":1,"messages":[]}', "model", "`model` must be a string, not an integer"),
        (b'{"model":null,"messages":[]}', "model", "`model` must be a string, not null"),
        (b'{"model":"a","stream":"yes","messages":[]}', "stream", "`stream` must be a boolean or null, not a string"),
        (b'{"model":"a","stream_options":{"include_usage":1},"messages":[]}', "stream_options.include_usage", "must be a boolean"),
        (b'{"model":"a","messages":{}}', "messages", "`messages` must be an array, not an object"),
        (b'{"model":"a","messages":[{"role":"user"},"hi"]}', "messages[1]", "`messages[1]` must be an object, not a string"),
        (b'{"model":"a","messages":[{"role":7}]}', "messages[0].role", "`messages[0].role` must be a string, not an integer"),
    ],
)
def test_a_wrong_value_is_told_with_its_path(body: bytes, param: str | None, told: str):
    error = refused(body)
    assert (error.reason, error.param) == (Reason.BAD_REQUEST, param)
    assert told in error.message


def test_depth_names_its_limit():
    assert "more than 7 levels" in too_deep(7).message
    assert "more than 7 levels" in malformed(b"[[", RecursionError(), 7).message


def test_a_validation_error_of_an_unknown_kind_keeps_its_text():
    error = unfit(msgspec.ValidationError("Number out of range - at `$.temperature`"))
    assert error.param == "temperature"
    assert "Number out of range" in error.message
