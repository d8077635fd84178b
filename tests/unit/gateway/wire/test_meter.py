import json
from typing import Any

import pytest

from gateway.wire.meter import Meter, Used
from gateway.wire.usage import Usage


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    return json.dumps({"id": "c", "created": 1, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}).encode()


USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 16},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def fed(*events: bytes | None) -> Meter:
    meter = Meter()
    for event in events:
        meter.see(event)
    return meter


def test_a_stream_with_usage_is_accounted_as_reported():
    last = json.dumps({"choices": [], "usage": USAGE}).encode()
    meter = fed(None, chunk({"role": "assistant", "content": ""}), chunk({"content": "hello"}), chunk({}, "stop"), last, b"[DONE]")
    assert (meter.events, meter.has_content, meter.is_done, meter.finish_reason) == (5, True, True, "stop")
    assert meter.used(99, 9.9) == Used(30, 5, 16, 2, is_estimated=False)


def test_a_cut_stream_is_estimated_from_its_bytes():
    words = ["hello", " wor", "ld, ", "how are", " you"] * 5
    meter = fed(chunk({"role": "assistant"}), *(chunk({"content": word}) for word in words))
    assert (meter.is_done, meter.finish_reason, meter.usage) == (False, None, None)
    assert meter.content_bytes == sum(map(len, words))
    assert meter.used(12, 0.25) == Used(12, -(-sum(map(len, words)) // 4), 0, 0, is_estimated=True)


def test_a_change_from_reasoning_to_content_does_not_lose_the_content():
    thoughts, words = ["hm", "well", "so"] * 8, ["a", "bc", "def"] * 20
    meter = fed(*(chunk({"reasoning_content": text}) for text in thoughts), *(chunk({"content": text}) for text in words))
    exact = sum(map(len, thoughts + words))
    assert abs(meter.content_bytes - exact) <= 0.1 * exact


def test_short_words_after_reasoning_are_counted_exactly():
    meter = fed(chunk({"reasoning_content": "hm"}), *(chunk({"content": text}) for text in ("a", "bc", "def")))
    assert meter.content_bytes == len("hm" + "a" + "bc" + "def")


def test_the_scaffold_of_tool_calls_is_soon_not_taken_for_content():
    pieces = ["ab"] * 80
    meter = fed(chunk({"content": "x"}), *(chunk({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}) for text in pieces))
    scaffold = len(chunk({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]})) - len(chunk({"content": ""}))
    assert 1 + 160 <= meter.content_bytes <= 1 + 160 + 8 * scaffold


def test_content_is_seen_from_its_first_chunk_on():
    meter = fed(chunk({"role": "assistant", "content": ""}), None)
    assert not meter.has_content
    meter.see(chunk({"tool_calls": [{"index": 0, "function": {"name": "", "arguments": ""}}]}))
    assert meter.has_content


def test_the_latest_usage_counts_and_null_does_not_erase_it():
    meter = fed(chunk({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1}), chunk({"content": "b"}, usage=None))
    assert meter.usage == Usage(3, 1)
    meter.see(chunk({"content": "c"}, usage={"prompt_tokens": 3, "completion_tokens": 3}))
    assert meter.used(0, 1.0) == Used(3, 3, 0, 0, is_estimated=False)


def test_no_completion_tokens_in_spite_of_content_are_not_believed():
    assert fed(chunk({"content": "abcd"}, usage={"prompt_tokens": 3, "completion_tokens": 0})).used(9, 0.5) == Used(
        3, 2, 0, 0, is_estimated=True
    )


def test_more_cached_than_prompt_tokens_are_clipped():
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    assert fed(chunk({"content": "a"}, usage=usage)).used(0, 1.0).cached_tokens == 3


def test_nothing_seen_is_only_the_prompt():
    assert Meter().used(7, 0.3) == Used(7, 0, 0, 0, is_estimated=True)


@pytest.mark.parametrize(("usage", "used"), [(USAGE, Used(30, 5, 16, 2, False)), (None, Used(7, 2, 0, 0, True))])
def test_a_whole_answer_is_metered_too(usage: Any, used: Used):
    meter = Meter()
    meter.see_whole(json.dumps({"choices": [{"message": {"content": "abcd"}, "finish_reason": "length"}], "usage": usage}).encode())
    assert (meter.has_content, meter.is_done, meter.finish_reason, meter.content_bytes) == (True, True, "length", 4)
    assert meter.used(7, 0.5) == used


def test_an_answer_that_is_not_json_has_used_its_prompt():
    meter = Meter()
    meter.see_whole(b"<html>")
    assert meter.used(7, 0.5) == Used(7, 0, 0, 0, is_estimated=True)
