import json
from typing import Any

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion

from gateway.domain.errors import GatewayError, Reason
from gateway.wire.aggregate import Aggregate

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m"}


def answer(*choices: Any, **last: Any) -> dict[str, Any]:
    aggregate = Aggregate()
    for choice in choices:
        aggregate.add(json.dumps({**HEAD, "choices": choice if isinstance(choice, list) else [choice]}).encode())
    if last:
        aggregate.add(json.dumps({**HEAD, "choices": [], **last}).encode())
    result: dict[str, Any] = json.loads(aggregate.result())
    return result


def delta(finish: str | None = None, index: int = 0, **said: Any) -> dict[str, Any]:
    return {"index": index, "delta": said, "finish_reason": finish}


def test_text_and_usage_become_one_answer_that_the_sdk_reads():
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    whole = answer(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop"), usage=usage)
    assert whole == {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello", "refusal": None}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": usage,
    }
    ChatCompletion.model_validate(whole)


def test_tool_calls_are_joined_by_their_index():
    whole = answer(
        delta(
            role="assistant",
            content=None,
            tool_calls=[{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}],
        ),
        delta(tool_calls=[{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x"'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}, {"index": 1, "function": {"arguments": "{}"}}]),
        delta("tool_calls"),
    )
    assert whole["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"function": {"name": "f", "arguments": '{"x":1}'}, "id": "a", "type": "function"},
            {"function": {"name": "g", "arguments": "{}"}, "id": "b", "type": "function"},
        ],
    }
    ChatCompletion.model_validate(whole)


def test_choices_are_told_apart_and_put_in_order():
    whole = answer(
        [delta(index=1, content="b")], [delta(index=0, content="a"), delta(index=1, content="B", finish="length")], delta("stop")
    )
    assert [(c["message"]["content"], c["finish_reason"]) for c in whole["choices"]] == [("a", "stop"), ("bB", "length")]


def test_refusal_reasoning_and_an_old_function_call_are_joined():
    message = answer(
        delta(reasoning_content="h", refusal="n", function_call={"name": "f", "arguments": "{"}),
        delta(reasoning_content="m", refusal="o", function_call={"arguments": "}"}),
    )["choices"][0]["message"]
    assert (message["reasoning_content"], message["refusal"], message["function_call"]) == ("hm", "no", {"name": "f", "arguments": "{}"})


def test_logprobs_are_strung_together():
    first = {**delta(content="a"), "logprobs": {"content": [{"token": "a"}], "refusal": None}}
    second = {**delta(content="b"), "logprobs": {"content": [{"token": "b"}], "refusal": None}}
    assert answer(first, second)["choices"][0]["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


def test_unknown_members_survive_everywhere():
    whole = answer(
        {**delta(content="a", odd=1), "stop_reason": None}, {**delta("stop", odd=2), "stop_reason": 7}, system_fingerprint="fp", x={"y": 1}
    )
    assert (whole["system_fingerprint"], whole["x"]) == ("fp", {"y": 1})
    assert (whole["choices"][0]["stop_reason"], whole["choices"][0]["message"]["odd"]) == (7, 2)


def test_plain_completions_are_joined_by_their_text():
    aggregate = Aggregate()
    for text, offset in (("Once", 0), (" upon", 4)):
        logprobs = {"tokens": [text], "token_logprobs": [-0.1], "text_offset": [offset], "top_logprobs": None}
        choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": "stop" if offset else None}
        aggregate.add(json.dumps({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}).encode())
    whole = json.loads(aggregate.result())
    assert (whole["object"], whole["choices"][0]["text"], whole["choices"][0]["finish_reason"]) == ("text_completion", "Once upon", "stop")
    assert whole["choices"][0]["logprobs"] == {
        "tokens": ["Once", " upon"],
        "token_logprobs": [-0.1, -0.1],
        "text_offset": [0, 4],
        "top_logprobs": None,
    }
    Completion.model_validate(whole)


@pytest.mark.parametrize("data", [b"", b"[DONE]", b"[1]", b'{"choices":[1]}', b'{"choices":3}', b'"x"', b"\xff"])
def test_what_is_no_chunk_is_the_backends_fault(data: bytes):
    with pytest.raises(GatewayError) as caught:
        Aggregate().add(data)
    assert caught.value.reason is Reason.UPSTREAM_BAD_ANSWER


def test_the_answer_cannot_grow_without_bound():
    aggregate = Aggregate(bytes_max=1000)
    with pytest.raises(GatewayError, match="too large"):
        for _ in range(100):
            aggregate.add(json.dumps({"choices": [delta(content="x" * 50)]}).encode())


def test_the_result_can_be_asked_for_twice():
    aggregate = Aggregate()
    aggregate.add(json.dumps({**HEAD, "choices": [delta(tool_calls=[{"index": 0, "id": "a", "function": {"arguments": "x"}}])]}).encode())
    assert aggregate.result() == aggregate.result()
