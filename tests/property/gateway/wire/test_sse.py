"""Equal bytes give equal events, however they are cut, and nothing is lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.sse import SseEvent, SseReader, first_event, plain_events

PIECES = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b": ping",
        b"event: x",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\r\n\r\n",
        b"\r\r",
        b"\xef\xbb\xbf",
        b"data: [DONE]\n\n",
        b"x",
    ]
)
STREAMS = st.lists(PIECES, max_size=30).map(b"".join)


def events(chunks: list[bytes]) -> list[SseEvent]:
    reader = SseReader()
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.finish()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({min(place, len(stream)) for place in places}), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(STREAMS, st.lists(st.integers(0, 200)))
def test_events_do_not_depend_on_where_the_bytes_were_cut(stream: bytes, places: list[int]):
    assert events(cut(stream, places)) == events([stream])


@given(STREAMS)
def test_events_byte_by_byte_are_the_events_of_the_whole(stream: bytes):
    assert events([stream[i : i + 1] for i in range(len(stream))]) == events([stream])


@given(STREAMS, st.lists(st.integers(0, 200)))
def test_what_is_relayed_is_what_came(stream: bytes, places: list[int]):
    reader = SseReader()
    relayed = b"".join(event.raw for chunk in cut(stream, places) for event in reader.feed(chunk))
    assert relayed + reader.rest == stream
    assert relayed + b"".join(event.raw for event in reader.finish()) == stream


@given(STREAMS.filter(lambda stream: not stream.startswith(b"\xef")))
def test_data_is_what_a_plain_reading_of_the_standard_gives(stream: bytes):
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    expected: list[bytes] = []
    gathered: list[bytes] = []
    for line in [*lines, b""]:
        if line == b"" and gathered:
            expected.append(b"\n".join(gathered))
            gathered = []
        name, _, told = line.partition(b":")
        if name == b"data":
            gathered.append(told.removeprefix(b" "))
    assert [event.data for event in events([stream]) if event.data is not None] == expected


PLAIN = st.sampled_from([b"a", b'{"x":"\\n"}', b'{"usage":null}', b'{"usage": null}', b""])
OTHER = st.sampled_from(
    [
        b"data: [DONE]\n\n",
        b'data: {"usage":{}}\n\n',
        b'data: {"error":1}\n\n',
        b": c\n\n",
        b"data: a\r\n\r\n",
        b"data: a",
        b"\n",
        b"event: e\ndata: a\n\n",
    ]
)


@given(st.lists(PLAIN, max_size=5), st.lists(OTHER, max_size=3))
def test_plain_events_are_whole_usual_events_at_the_start_and_nothing_else(plain: list[bytes], others: list[bytes]):
    usual = b"".join(b"data: %b\n\n" % data for data in plain)
    stream = usual + b"".join(others)
    end, events = plain_events(stream)
    whole = SseReader().feed(stream[:end])
    assert len(whole) == events and all(event.raw.startswith(b"data: ") and event.raw.count(b"\n") == 2 for event in whole)
    assert not any(event.data == b"[DONE]" or b"{}" in (event.data or b"") or b'"error"' in event.raw for event in whole)
    if not others:
        assert (end, events) == (len(usual), len(plain))


@given(st.binary(max_size=30).map(lambda data: data.replace(b"x", b"\n\n")))
def test_the_first_event_and_the_rest_are_all(data: bytes):
    first, rest = first_event(data)
    assert first + rest == data and first.count(b"\n\n") <= 1 and (first or not data)
