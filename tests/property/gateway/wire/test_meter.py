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
