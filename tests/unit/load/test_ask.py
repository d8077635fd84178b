"""What a simulated backend understands of a request, and what it answers 400 to."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from load.ask import Ask, BadRequest, Endpoint, Tool, read_ask

HI = [{"role": "user", "content": "Good morning to you all"}]
TOOLS = [
    {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "required": ["at"]}}},
    {"type": "function", "function": {"name": "wait"}},
]


def chat(headers: dict[str, str] | None = None, **fields: Any) -> Ask:
    return read_ask(Endpoint.CHAT, json.dumps({"model": "m", "messages": HI, **fields}).encode(), headers or {})


def completion(prompt: Any, **fields: Any) -> Ask:
    return read_ask(Endpoint.COMPLETION, json.dumps({"model": "m", "prompt": prompt, **fields}).encode(), {})


def test_prompt_tokens_are_a_quarter_of_the_texts_bytes() -> None:
    assert chat().texts[0].tokens == round(len("Good morning to you all") / 4)
    parts = [{"role": "user", "content": [{"type": "text", "text": "é" * 10}, {"type": "image_url", "image_url": {"url": "x" * 999}}]}]
    assert chat(messages=parts).texts[0].tokens == 5
    called = [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "12345678"}}]}]
    assert chat(messages=called).texts[0].tokens == 2
    assert chat(messages=[{"role": "user", "content": ""}]).texts[0].tokens == 1


def test_the_harness_may_dictate_both_lengths_in_the_body_or_in_headers() -> None:
    assert (chat(sim_output_tokens=7).output_tokens, chat(sim_prompt_tokens=900).texts[0].tokens) == (7, 900)
    asked = chat({"x-sim-output-tokens": "8", "x-sim-prompt-tokens": "901"})
    assert (asked.output_tokens, asked.texts[0].tokens) == (8, 901)
    assert chat({"x-sim-output-tokens": "8"}, sim_output_tokens=7).output_tokens == 7


def test_options_are_read_and_null_means_absent() -> None:
    asked = chat(stream=True, stream_options={"include_usage": True}, n=3, max_tokens=9, max_completion_tokens=5, stop="the")
    assert (asked.is_streamed, asked.includes_usage, asked.n, asked.tokens_max, asked.stop) == (True, True, 3, 5, ("the",))
    asked = chat(stream=None, stream_options=None, n=None, max_tokens=None, stop=None, response_format=None, tools=None, tool_choice=None)
    assert asked == chat()
    assert chat(stop=["a", "b"]).stop == ("a", "b") and chat(stop=7).stop == () == chat(stop=True).stop


def test_unknown_fields_are_accepted() -> None:
    assert chat(x_vendor={"deep": [1]}, top_k=3) == chat()


def test_a_tool_is_called_when_one_must_be() -> None:
    assert chat(tools=TOOLS).tool is None
    assert chat(tools=TOOLS, tool_choice="auto").tool is None
    assert chat(tools=TOOLS, tool_choice="required").tool == Tool("look", {"type": "object", "required": ["at"]})
    named = {"type": "function", "function": {"name": "wait"}}
    assert chat(tools=TOOLS, tool_choice=named).tool == Tool("wait", {"type": "object"})
    with pytest.raises(BadRequest, match="'gone'"):
        chat(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "gone"}})


def test_a_schema_is_read_from_the_response_format() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "integer"}}}
    assert chat(response_format=form).schema == {"type": "integer"}
    assert chat(response_format={"type": "text"}).schema is None
    assert chat(response_format={"type": "json_object"}).schema["required"] == ["answer"]
    with pytest.raises(BadRequest, match="schema"):
        chat(response_format={"type": "json_schema"})


def test_a_completion_takes_one_prompt_several_or_token_ids() -> None:
    assert [t.tokens for t in completion("x" * 40).texts] == [10]
    assert [t.tokens for t in completion(["x" * 40, "x" * 8]).texts] == [10, 2]
    assert [t.tokens for t in completion([1, 2, 3]).texts] == [3]
    assert [t.tokens for t in completion([[1, 2], [3]]).texts] == [2, 1]
    asked = read_ask(Endpoint.EMBEDDING, b'{"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":8,"stream":true}', {})
    assert (len(asked.texts), asked.is_base64, asked.dimensions, asked.is_streamed) == (2, True, 8, False)


def test_equal_beginnings_share_blocks() -> None:
    def blocks(text: str) -> tuple[bytes, ...]:
        return chat(messages=[{"role": "user", "content": text}]).texts[0].blocks()

    a, b, c = blocks("a" * 5000), blocks("a" * 3000 + "b" * 2000), blocks("c" + "a" * 4999)
    assert len(a) == 2
    assert (a[0] == b[0], a[1] == b[1], a[1] == c[1]) == (True, False, False)
    assert blocks("short") == ()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'"text"', None),
        (b"\xff{}", None),
        (b"{}", "model"),
        (b'{"model":3}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":"hi"}', "messages"),
        (b'{"model":"m","messages":["hi"]}', "messages[0]"),
        (b'{"model":"m","messages":[{}],"max_tokens":0}', "max_tokens"),
        (b'{"model":"m","messages":[{}],"max_tokens":"9"}', "max_tokens"),
        (b'{"model":"m","messages":[{}],"n":1.5}', "n"),
        (b'{"model":"m","messages":[{}],"n":true}', "n"),
        (b'{"model":"m","messages":[{}],"n":1000}', "n"),
        (b'{"model":"m","messages":[{}],"sim_output_tokens":"many"}', "sim_output_tokens"),
    ],
)
def test_what_a_server_would_refuse_is_refused_with_the_field(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        read_ask(Endpoint.CHAT, body, {})
    assert (refused.value.param, refused.value.status) == (param, 400)


@pytest.mark.parametrize("prompt", [None, [], {}, 3, ["a", 1]])
def test_a_prompt_of_another_kind_is_refused(prompt: Any) -> None:
    with pytest.raises(BadRequest, match="prompt"):
        completion(prompt)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)
fields = ("messages", "stream", "stream_options", "n", "max_tokens", "tools", "tool_choice", "response_format", "stop", "sim_output_tokens")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(fields), json_values))
def test_any_json_is_either_understood_or_refused(body: dict[str, Any]) -> None:
    try:
        read_ask(Endpoint.CHAT, json.dumps({"model": "m", "messages": HI, **body}).encode(), {})
    except BadRequest as refused:
        assert refused.status == 400
