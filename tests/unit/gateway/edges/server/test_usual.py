"""What is read here aiohttp reads in the same way, and what is unusual is left to it."""

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.edges.server.usual import FIELDS_MAX, Recurring, read_usual
from gateway.wire.headers import forwarded

PATH = "/v1/chat/completions"


def request(*fields: bytes, line: bytes = b"POST /v1/chat/completions HTTP/1.1", body: bytes = b"{}") -> bytes:
    return b"\r\n".join([line, b"Host: x", *fields, b"Content-Length: %d" % len(body), b"", b""]) + body


def read(data: bytes, head_max: int = 4096, body_max: int = 1000):
    return read_usual(data, {PATH}, head_max, body_max)


def test_a_usual_call_is_read_whole():
    data = request(b"X-A: 1", b"x-a:\t2 ", b"Authorization: Bearer k", b"X-B: caf\xe9", line=b"POST /v1/chat/completions?a=%20b HTTP/1.1")
    call = read(data)
    assert call is not None and (call.head.path, call.head.query) == (PATH, "a=%20b")
    assert data[call.body_start :] == b"{}" and call.length == 2
    assert list(call.head.fields) == [
        ("Host", "x"), ("X-A", "1"), ("x-a", "2"), ("Authorization", "Bearer k"), ("X-B", "caf\udce9"), ("Content-Length", "2"),
    ]  # fmt: skip
    assert call.head.headers["x-a"] == "1" and call.head.headers["authorization"] == "Bearer k"


def test_a_body_may_still_be_coming():
    call = read(request(body=b"x" * 50)[:-20])
    assert call is not None and call.length == 50


@pytest.mark.parametrize(
    "data",
    [
        request()[:-5],
        request(line=b"GET /v1/chat/completions HTTP/1.1"),
        request(line=b"POST /v1/models HTTP/1.1"),
        request(line=b"POST /v1/chat/completions HTTP/1.0"),
        request(line=b"POST  /v1/chat/completions HTTP/1.1"),
        request(line=b"POST http://x/v1/chat/completions HTTP/1.1"),
        request(line=b"POST /v1/chat/completions?a#b HTTP/1.1"),
        request(b"Transfer-Encoding: chunked"),
        request(b"Content-Length: 2"),
        request(b"Content-Encoding: gzip"),
        request(b"Expect: 100-continue"),
        request(b"Upgrade: h2c"),
        request(b"Connection: close"),
        request(b"Connection: keep-alive, x-secret"),
        request(b"Host: y"),
        request(b"Authorization: Bearer a", b"authorization: Bearer b"),
        request(b"X-Folded: a\r\n b"),
        request(b" X-Space: a"),
        request(b"Bad Name: a"),
        request(b"X-Colon : a"),
        request(b"X-Nul: a\0b"),
        request(b"X-Bare: a\rb"),
        request(b"X-Bare: a\nb: c"),
        request(b"no colon"),
        request().replace(b"Host: x\r\n", b""),
        request().replace(b"Length: 2", b"Length: +2"),
        request().replace(b"Length: 2", b"Length: 2, 2"),
        request().replace(b"Length: 2", b"Length: "),
        request().replace(b"Content-Length: 2\r\n", b""),
        request(*(b"X-%d: 1" % i for i in range(FIELDS_MAX))),
        request(b"X-Big: " + b"x" * 5000),
        request(body=b"x" * 1001),
        b"\r\n" + request(),
        b"\x16\x03\x01",
        b"",
    ],
)
def test_what_is_unusual_is_left_to_aiohttp(data):
    assert read(data) is None


BITS = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b" ", b":", b"\t", b"\0", b"X: 1", b"Host: y", b"content-length: 3", b"a", b"\x7f", b"\xff", b""]
)


@given(bits=st.lists(BITS, max_size=6))
@example(bits=[b"\r\n", b"content-length: 3", b"\r\n"])
@example(bits=[b"\r\n", b"content-length: 30", b"\r\n"])
def test_what_is_read_here_aiohttp_reads_in_the_same_way(bits):
    data = request(b"X-Own: " + b"".join(bits))
    call = read(data)
    if call is None:
        return
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, auto_decompress=False)
        end = call.body_start + call.length  # What comes after it is another call, good or bad.
        try:
            messages, _, rest = parser.feed_data(data[:end])
        except HttpProcessingError as exc:
            raise AssertionError(f"aiohttp refuses {data!r}") from exc
        (message, body), *more = messages
        assert not more and not rest and body.is_eof() is (len(data) >= end) and body.read_nowait() == data[call.body_start : end]
        theirs, ours = message.headers.items(), call.head.fields  # aiohttp writes names that it knows in its own way.
        assert [(name.lower(), told) for name, told in theirs] == [(name.lower(), told) for name, told in ours]
    finally:
        loop.close()


LENGTHS = (b"0", b"2", b"1000", b"1001", b"007", b"+2", b"2 ", b"", b"2, 2", b"9" * 15, b"9" * 16, b"\xb2")


@pytest.mark.parametrize("spaced", [b"Content-Length: %b\r\n", b"content-length:%b\r\n", b"Content-Length:\t%b \r\n"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_head_that_comes_again_is_read_as_if_it_were_the_first(spaced: bytes, length: bytes):
    head = b"POST /v1/chat/completions?q HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n" + spaced + b"X-A: 1\r\n\r\n{}"
    first = read(head % b"2")
    assert first is not None
    data = head % length
    again, anew = Recurring(head % b"2", first).read(data, 4096, 1000), read(data)
    if again is None:  # Left to the whole reading, which may take it or not.
        assert anew is None or spaced.endswith(b" \r\n") or b" " in length
        return
    assert anew is not None
    assert (again.head.path, again.head.query, again.body_start, again.length) == (
        anew.head.path,
        anew.head.query,
        anew.body_start,
        anew.length,
    )
    assert {**again.head.headers, "content-length": ""} == {**anew.head.headers, "content-length": ""}
    assert forwarded(again.head.fields, "id") == forwarded(anew.head.fields, "id")


def test_a_head_that_differs_in_a_byte_is_another_one():
    data = request(b"X-A: 1")
    call = read(data)
    assert call is not None
    recurring = Recurring(data, call)
    for other in (request(b"X-A: 2"), request(b"X-A: 1", b"X-B: 1"), data[:40], data.replace(b"Host", b"host"), b"", b" " + data):
        assert recurring.read(other, 4096, 1000) is None
    assert recurring.read(data, len(data) - 3, 1000) is None


@given(bits=st.lists(BITS, max_size=6), length=st.integers(0, 999))
def test_whatever_head_was_usual_is_usual_again_with_another_length(bits, length):
    data = request(b"X-Own: " + b"".join(bits))
    call = read(data)
    if call is not None:
        other = request(b"X-Own: " + b"".join(bits), body=b"x" * length)
        again, anew = Recurring(data, call).read(other, 4096, 1000), read(other)
        assert again is not None and anew is not None
        assert (again.body_start, again.length) == (anew.body_start, anew.length)
        assert forwarded(again.head.fields, "id") == forwarded(anew.head.fields, "id")
