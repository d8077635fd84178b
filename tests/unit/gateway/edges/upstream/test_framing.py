"""One answer out of bytes: equal for every cut, and strict where two parsers could differ."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.upstream.framing import HEAD_MAX, INTERIM_MAX, Answer, Malformed

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Type: application/json\r\nX-A: 1\r\nx-a:\t2 \r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: Chunked\r\n\r\n3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"
UNTIL_CLOSE = OK + b"\r\nhello"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"


def fed(*parts: bytes) -> Answer:
    answer = Answer()
    for part in parts:
        answer.feed(part)
    return answer


@pytest.mark.parametrize("data", [LENGTH, CHUNKED, UNTIL_CLOSE, INTERIM + CHUNKED, INTERIM + LENGTH])
@given(cuts=st.lists(st.integers(0, 200), max_size=12))
def test_equal_bytes_give_equal_answers_for_every_cut(data, cuts):
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    answer = fed(*(data[a:b] for a, b in itertools.pairwise(edges)))
    assert answer.ended() and answer.is_complete and not answer.has_surplus
    assert answer.status == 200 and answer.body_bytes == 5 and answer.take() == b"hello"
    assert answer.is_kept == (data is not UNTIL_CLOSE)
    assert list(answer.fields) == list(fed(data).fields)


def test_header_names_values_order_and_repetitions_are_kept():
    answer = fed(LENGTH)
    assert list(answer.fields) == [("Content-Type", "application/json"), ("X-A", "1"), ("x-a", "2"), ("Content-Length", "5")]
    assert answer.content_type == "application/json"
    assert fed(OK + b"X-B: caf\xe9\r\nContent-Length: 0\r\n\r\n").fields[0] == ("X-B", "caf\udce9")


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\n", True),
    ],
)
def test_which_connections_may_be_used_again(head, kept):
    assert fed(head + b"content-length: 2\r\n\r\nok").is_kept is kept


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status):
    assert fed(b"HTTP/1.1 %d X\r\ncontent-length: 9\r\n\r\n" % status).is_complete


@pytest.mark.parametrize("data", [LENGTH + b"H", CHUNKED + b"\r\n", OK + b"content-length: 0\r\n\r\n" + LENGTH])
def test_bytes_behind_an_answer_are_noticed_together_or_apart(data):
    assert fed(data).has_surplus
    assert fed(*(data[i : i + 1] for i in range(len(data)))).has_surplus


@pytest.mark.parametrize("data", [LENGTH[:-1], CHUNKED[:-1], CHUNKED[:-30], OK, b""])
def test_a_cut_answer_is_not_whole(data):
    answer = fed(data)
    assert not answer.ended() and answer.is_begun == (data != b"")


@pytest.mark.parametrize(
    "data",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 99 X\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: 1\n\n",
        OK + b"X: a\nY: b\r\n\r\n",
        OK + b"X: a\r\n folded\r\n\r\n",
        OK + b"Bad Name: a\r\n\r\n",
        OK + b"X : a\r\n\r\n",
        OK + b": a\r\n\r\n",
        OK + b"X: a\0\r\n\r\n",
        OK + b"X: a\rb\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"content-length: +5\r\n\r\nhello",
        OK + b"content-length: 0x5\r\n\r\nhello",
        OK + b"content-length: 5, 5\r\n\r\nhello",
        OK + b"content-length: \r\n\r\nhello",
        OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n+3\r\nabc",
        OK + b"transfer-encoding: chunked\r\n\r\n-3\r\nabc",
        OK + b"transfer-encoding: chunked\r\n\r\n1_0\r\nabc",
        OK + b"transfer-encoding: chunked\r\n\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n1\n\r\na\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n0\r\nX: a\nY: b\r\n\r\n",
        OK + b"x" * (HEAD_MAX + 1),
        OK + b"X: " + b"x" * HEAD_MAX + b"\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n" + b"0" * (HEAD_MAX + 1),
        OK + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"X: 1\r\n" * HEAD_MAX,
        b"HTTP/1.1 100 X\r\n\r\n" * (INTERIM_MAX + 1),
    ],
)
def test_what_is_no_answer_or_could_be_read_differently_is_refused(data):
    with pytest.raises(Malformed):
        fed(data)
