"""The meter's cheap count of content beside the exact one."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.meter import Meter

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)
KINDS = st.sampled_from(["content", "reasoning_content"])


def chunk(kind: str, text: str) -> bytes:
    return json.dumps({"id": "chatcmpl-1", "created": 1, "choices": [{"index": 0, "delta": {kind: text}, "finish_reason": None}]}).encode()


@given(st.lists(WORDS, min_size=1, max_size=60))
def test_in_a_frame_that_stays_the_same_the_count_is_exact(words: list[str]):
    meter = Meter()
    for word in words:
        meter.see(chunk("content", word))
    assert meter.content_bytes == sum(len(json.dumps(word)) - 2 for word in words)


@given(st.lists(st.tuples(KINDS, st.lists(WORDS, min_size=1, max_size=20)), min_size=1, max_size=4))
def test_a_change_of_frame_costs_at_most_eight_chunks_of_the_difference(runs: list[tuple[str, list[str]]]):
    meter = Meter()
    for kind, words in runs:
        for word in words:
            meter.see(chunk(kind, word))
    exact = sum(len(json.dumps(word)) - 2 for _, words in runs for word in words)
    assert abs(meter.content_bytes - exact) <= len(runs) * 8 * len("reasoning_")


@given(st.lists(WORDS, min_size=1, max_size=60), st.lists(st.integers(1, 9), max_size=30), st.booleans())
def test_events_taken_together_count_as_they_do_one_by_one(words: list[str], sizes: list[int], has_end: bool):
    datas = [chunk("content", word) for word in words]
    if has_end:
        datas.append(b'{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
    one_by_one, together = Meter(), Meter()
    for data in datas:
        one_by_one.see(data)
    at = 0
    for size in [*sizes, len(datas)]:
        part = datas[at : at + size]
        at += size
        if part:
            together.see_plain(b"".join(b"data: %b\n\n" % data for data in part), len(part))
    assert together.events == one_by_one.events == len(datas) and together.has_content
    assert together.finish_reason == one_by_one.finish_reason == ("stop" if has_end else None)
    exact = sum(len(json.dumps(word)) - 2 for word in words)
    assert abs(together.content_bytes - exact) <= (100 if has_end else 0)
