import json
from typing import Any

import pytest

from gateway.wire.chunk import are_saying, choices_of, content_bytes, finish_reason_of, has_content, is_error, is_usage_only


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}).encode()


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"role": "assistant", "content": " "},
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"audio": {"id": "a"}},
        {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}]},
        {"function_call": {"name": "f"}},
        {"content": [{"type": "text", "text": "x"}]},
    ],
)
def test_what_the_client_can_show_is_content(delta: dict[str, Any]):
    assert has_content(chunk(delta))


@pytest.mark.parametrize(
    "delta", [{}, {"role": "assistant"}, {"role": "assistant", "content": ""}, {"content": None, "tool_calls": []}, {"refusal": None}]
)
def test_a_role_alone_and_empty_texts_are_not_content(delta: dict[str, Any]):
    assert not has_content(chunk(delta))


def test_plain_completions_have_their_content_in_text():
    assert has_content(b'{"choices":[{"text":"a","index":0}]}')
    assert not has_content(b'{"choices":[{"text":"","index":0}]}')


@pytest.mark.parametrize(
    "data", [b"[DONE]", b"", b"[1]", b'"x"', b"{", b'{"choices":null}', b'{"choices":[]}', b'{"choices":[3]}', b"\xff", b"[" * 5000]
)
def test_what_is_no_chunk_says_nothing(data: bytes):
    assert not has_content(data)
    assert not is_error(data)
    assert not is_usage_only(data)
    assert finish_reason_of(data) is None


def test_any_choice_can_bring_the_content():
    data = b'{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":"x"}}]}'
    assert are_saying(choices_of(data))


def test_content_is_counted_as_json_spells_it():
    call = {"index": 0, "id": "1", "type": "function", "function": {"name": "ff", "arguments": '{"a":1}'}}
    data = chunk({"content": 'ab"', "tool_calls": [call]})
    assert content_bytes(choices_of(data)) == len('ab\\"') + len("ff") + len('{\\"a\\":1}')


def test_reasoning_spelled_twice_counts_once():
    assert content_bytes(choices_of(chunk({"reasoning": "abc", "reasoning_content": "abc"}))) == 3


def test_a_whole_answer_is_read_like_a_chunk():
    body = b'{"choices":[{"message":{"role":"assistant","content":"abcd"},"finish_reason":"length"}]}'
    assert (content_bytes(choices_of(body)), finish_reason_of(body)) == (4, "length")


@pytest.mark.parametrize(
    "data",
    [b'{"error":{"message":"m"}}', b'{"error":"boom"}', b'{"object":"error","message":"old vLLM"}', b'{"id":1,"error" : {"code":500}}'],
)
def test_errors_are_known_in_all_their_shapes(data: bytes):
    assert is_error(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"error":null,"choices":[]}',
        b'{"error":""}',
        chunk({"content": '"error": {"message": 1}'}),
        b'{"x":{"error":{"message":"inner"}}}',
        b'["error"]',
    ],
)
def test_the_word_error_is_not_an_error(data: bytes):
    assert not is_error(data)


def test_the_extra_chunk_is_known_by_usage_without_choices():
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert is_usage_only(json.dumps({"choices": [], "usage": usage}).encode())
    assert is_usage_only(json.dumps({"usage": usage}).encode())
    assert not is_usage_only(chunk({"content": "x"}, usage=usage))
    assert not is_usage_only(b'{"choices":[],"usage":null}')
    assert not is_usage_only(b'{"choices":[],"prompt_filter_results":[]}')
