"""Equal bytes give equal events, however they are cut, and nothing is lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.sse import SseEvent, SseReader

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
