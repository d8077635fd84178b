"""Bodies and stream events: what OpenAI's own types accept, and exactly the tokens that were said."""

import base64
import json
import struct
from typing import Any

import pytest

from load.answer import Answer, compose
from load.ask import Ask, Endpoint, Text, Tool
from load.frames import Frames, Spent, embeddings, error_body, error_frame, models_body, usage_frame, whole

TEXT = Text(b"hello", 2)


def ask(endpoint: Endpoint = Endpoint.CHAT, **options: Any) -> Ask:
    return Ask(endpoint, "strong", (TEXT,), output_tokens=options.pop("output_tokens", 4), **options)


def stream(asked: Ask, answer: Answer, index: int = 0) -> list[dict[str, Any]]:
    frames = Frames(asked, "chatcmpl-1", 99, index)
    text = frames.first() + frames.tokens(answer.pieces(0, answer.tokens)) + frames.last(answer.finish_reason)
    return [json.loads(event.removeprefix(b"data: ")) for event in text.split(b"\n\n")[:-1]]


def test_a_stream_is_role_then_tokens_then_reason() -> None:
    asked = ask()
    answer = compose(asked, TEXT, 0)
    choices = [event["choices"][0] for event in stream(asked, answer, index=2)]
    assert choices[0] == {"index": 2, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    assert [c["delta"]["content"] for c in choices[1:-1]] == [p.decode() for p in answer.pieces(0, 4)]
    assert choices[-1] == {"index": 2, "delta": {}, "logprobs": None, "finish_reason": "stop"}


def test_usage_is_null_in_every_event_until_its_own_only_when_asked_for() -> None:
    answer = compose(ask(), TEXT, 0)
    assert all("usage" not in event for event in stream(ask(), answer))
    assert all(event["usage"] is None for event in stream(ask(includes_usage=True), answer))
    last = json.loads(usage_frame(ask(), "x", 1, Spent(7, 5, 3)).removeprefix(b"data: "))
    assert last["choices"] == []
    assert (last["usage"]["total_tokens"], last["usage"]["prompt_tokens_details"]) == (12, {"cached_tokens": 3})


def test_openais_own_types_accept_everything() -> None:
    pytest.importorskip("openai")
    from openai.types import Completion, CreateEmbeddingResponse, Model
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    tool = Tool("look", {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]})
    for asked in (ask(), ask(includes_usage=True), ask(tool=tool)):
        answer = compose(asked, TEXT, 0)
        for event in stream(asked, answer):
            ChatCompletionChunk.model_validate(event, strict=True)
        ChatCompletion.model_validate_json(whole(asked, "chatcmpl-1", 9, [answer, answer], Spent(1, 2)), strict=True)
    asked = ask(Endpoint.COMPLETION)
    Completion.model_validate(stream(asked, compose(asked, TEXT, 0))[-1], strict=True)  # its type forgets the null of the events before
    Completion.model_validate_json(whole(asked, "cmpl-1", 9, [compose(asked, TEXT, 0)], Spent(1, 2)), strict=True)
    CreateEmbeddingResponse.model_validate_json(embeddings(ask(Endpoint.EMBEDDING), Spent(1, 0)), strict=True)
    Model.model_validate(json.loads(models_body("m", 1))["data"][0], strict=True)


def test_a_tool_call_streams_its_arguments_and_says_them_whole() -> None:
    asked = ask(tool=Tool("look", {"const": {"at": "north"}}))
    answer = compose(asked, TEXT, 0)
    events = stream(asked, answer)
    first = events[0]["choices"][0]["delta"]["tool_calls"][0]
    parts = [event["choices"][0]["delta"]["tool_calls"][0] for event in events[1:-1]]
    message = json.loads(whole(asked, "chatcmpl-1", 9, [answer], Spent(1, 2)))["choices"][0]["message"]
    assert first["function"] == {"name": "look", "arguments": ""}
    assert json.loads("".join(p["function"]["arguments"] for p in parts)) == {"at": "north"}
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"at": "north"}
    assert (message["content"], message["tool_calls"][0]["id"]) == (None, first["id"])


def test_a_completion_has_text_and_no_role() -> None:
    asked = ask(Endpoint.COMPLETION)
    events = stream(asked, compose(asked, TEXT, 0))
    assert len(events) == 5
    assert events[0]["object"] == "text_completion"
    assert (
        "".join(e["choices"][0]["text"] for e in events)
        == json.loads(whole(asked, "c", 1, [compose(asked, TEXT, 0)], Spent(1, 1)))["choices"][0]["text"]
    )


def test_names_with_quotes_stay_json() -> None:
    asked = Ask(Endpoint.CHAT, 'a"b\\c\n', (TEXT,), output_tokens=1)
    assert {event["model"] for event in stream(asked, compose(asked, TEXT, 0))} == {'a"b\\c\n'}


def test_embeddings_are_unit_vectors_in_both_spellings() -> None:
    asked = Ask(Endpoint.EMBEDDING, "m", (Text(b"a", 1), Text(b"b", 1)), dimensions=8)
    a, b = (d["embedding"] for d in json.loads(embeddings(asked, Spent(2, 0)))["data"])
    assert a != b
    assert sum(x * x for x in a) == pytest.approx(1.0)
    spelled = Ask(Endpoint.EMBEDDING, "m", asked.texts, dimensions=8, is_base64=True)
    raw = json.loads(embeddings(spelled, Spent(2, 0)))["data"][0]["embedding"]
    assert struct.unpack("<8f", base64.b64decode(raw)) == pytest.approx(a)


def test_errors_have_the_four_keys() -> None:
    error = json.loads(error_body("no", "invalid_request_error", "n"))["error"]
    assert error == {"message": "no", "type": "invalid_request_error", "param": "n", "code": None}
    assert json.loads(error_frame("no").removeprefix(b"data: "))["error"]["message"] == "no"
