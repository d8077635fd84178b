import json
from typing import Any

import pytest

from gateway.wire.usage import Usage, mentions_usage, usage_of


def told(usage: Any) -> Usage | None:
    return usage_of(json.dumps({"choices": [], "usage": usage}).encode())


def test_all_counts_of_the_openai_spelling_are_read():
    assert told(
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 16},
        }
    ) == Usage(100, 20, 64, 16)


def test_nulls_and_missing_details_are_not_told():
    assert told({"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": None, "completion_tokens_details": {}}) == Usage(1, 2)
    assert told({"prompt_tokens": None, "completion_tokens": 2}) == Usage(None, 2)


def test_deepseek_spells_cached_tokens_its_own_way():
    assert told({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 8}) == Usage(9, 2, 8)


def test_embeddings_report_no_completion():
    assert told({"prompt_tokens": 8, "total_tokens": 8}) == Usage(8, 0)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "x",
        3,
        {"prompt_tokens": "8"},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": -1, "completion_tokens": -2},
    ],
)
def test_what_reports_nothing_is_no_usage(usage: Any):
    assert told(usage) is None


def test_whole_numbers_written_as_floats_are_counts():
    assert usage_of(b'{"usage":{"prompt_tokens":8.0,"completion_tokens":1e1}}') == Usage(8, 10)


@pytest.mark.parametrize("data", [b"", b"[DONE]", b'{"usage":{', b"\xff", b'{"choices":[{"delta":{"content":"\\"usage\\":{"}}]}'])
def test_what_cannot_be_read_reports_nothing(data: bytes):
    assert usage_of(data) is None


def test_the_word_is_looked_for_before_anything_is_parsed():
    assert mentions_usage(b'{"usage" :\n{}}')
    assert not mentions_usage(b'{"usage":null}')
    assert not mentions_usage(b'{"x":1}')
    assert mentions_usage(b'{"usage":{"prompt_tokens":1},"x":"usage"}')


def test_reasoning_is_part_of_the_completion_wherever_a_server_counts_it():
    inside = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "completion_tokens_details": {"reasoning_tokens": 40}}
    beside = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 150, "completion_tokens_details": {"reasoning_tokens": 40}}
    assert told(inside) == told(beside) == Usage(100, 50, None, 40)
    assert told({**inside, "total_tokens": None}) == Usage(100, 50, None, 40)
