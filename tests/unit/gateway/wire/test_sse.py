import pytest

from gateway.domain.errors import GatewayError, Reason
from gateway.wire.sse import SseEvent, SseReader, is_done


def read(*chunks: bytes) -> list[SseEvent]:
    reader = SseReader()
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.finish()


def data(*chunks: bytes) -> list[bytes | None]:
    return [event.data for event in read(*chunks)]


def test_an_event_is_given_as_soon_as_its_blank_line_is_here():
    reader = SseReader()
    assert reader.feed(b"data: one\n") == []
    assert reader.rest == b"data: one\n"
    assert reader.feed(b"\ndata: two\n\ndata: th") == [SseEvent(b"data: one\n\n", b"one"), SseEvent(b"data: two\n\n", b"two")]
    assert reader.rest == b"data: th"
    assert reader.feed(b"ree\n\n") == [SseEvent(b"data: three\n\n", b"three")]
    assert reader.rest == b""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_standard_ends_lines(end: bytes):
    stream = b"data: a\n\n: note\nevent: x\ndata: b1\ndata: b2\nid: 7\n\ndata:c\n\n".replace(b"\n", end)
    assert data(stream) == [b"a", b"b1\nb2", b"c"]
    assert data(*(stream[i : i + 1] for i in range(len(stream)))) == [b"a", b"b1\nb2", b"c"]


def test_an_event_ended_by_cr_waits_for_the_lf_that_may_belong_to_it():
    reader = SseReader()
    assert reader.feed(b"data: a\r\n\r") == []
    assert reader.feed(b"\n") == [SseEvent(b"data: a\r\n\r\n", b"a")]


def test_a_bare_cr_between_lf_lines_is_a_line_end_too():
    assert data(b"data: a\rdata: b\n\n") == [b"a\nb"]
    assert data(b"data: a\r\rdata: b\n\n") == [b"a", b"b"]


def test_comments_and_lone_blank_lines_are_relayed_and_hold_no_data():
    assert read(b": ping\n\n\n\ndata: a\n\n") == [SseEvent(b": ping\n\n", None), SseEvent(b"\n\n", None), SseEvent(b"data: a\n\n", b"a")]


def test_a_byte_order_mark_is_relayed_and_not_data():
    assert read(b"\xef", b"\xbb\xbfdata: a\n\n", b"\xef\xbb\xbfdata: b\n\n") == [
        SseEvent(b"\xef\xbb\xbfdata: a\n\n", b"a"),
        SseEvent(b"\xef\xbb\xbfdata: b\n\n", None),
    ]


@pytest.mark.parametrize(
    ("line", "told"), [(b"data:x", b"x"), (b"data:  x", b" x"), (b"data", b""), (b"data:", b""), (b"datax: 1", None), (b" data: 1", None)]
)
def test_one_space_behind_the_colon_is_not_data(line: bytes, told: bytes | None):
    assert data(line + b"\n\n") == [told]


def test_an_end_without_blank_line_still_gives_the_last_event():
    assert data(b"data: a\n\ndata: [DONE]") == [b"a", b"[DONE]"]
    assert data(b"data: a\r\r") == [b"a"]
    assert data(b"") == []


def test_an_event_beyond_the_bound_is_an_error_and_not_a_full_memory():
    reader = SseReader(event_bytes_max=100)
    assert reader.feed(b"data: " + b"x" * 92 + b"\n\n")[0].data == b"x" * 92
    for chunks in ([b"data: " + b"x" * 93 + b"\n\n"], [b"x" * 60, b"x" * 60]):
        with pytest.raises(GatewayError) as caught:
            for chunk in chunks:
                reader.feed(chunk)
        assert caught.value.reason is Reason.UPSTREAM_BAD_ANSWER


def test_a_large_event_in_small_pieces_is_not_searched_again_from_its_start():
    reader = SseReader()
    for _ in range(20_000):
        assert reader.feed(b"x" * 100) == []
    assert len(reader.feed(b"\n\n")[0].raw) == 2_000_002


def test_done_is_known_with_spaces_around_it():
    assert is_done(b"[DONE]") and is_done(b" [DONE] ")
    assert not is_done(b'"[DONE]"') and not is_done(b"")
