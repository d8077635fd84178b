"""openai-python as its users write it: chat, streams, tools, structured answers, completions, embeddings, models."""

import asyncio
import json
import math
import time
from typing import Any

import openai
import pytest
from pydantic import BaseModel

HELLO: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Step(BaseModel):
    explanation: str
    output: str


class Solution(BaseModel):
    steps: list[Step]
    answer: int


def test_a_chat_is_answered_with_text_and_usage(house: Any) -> None:
    answer = house.sdk().chat.completions.create(model="auto", messages=HELLO, max_tokens=7)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 7
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 7


def test_every_option_of_the_sdk_reaches_the_backend(house: Any) -> None:
    options: dict[str, Any] = {
        "temperature": 0.25, "top_p": 0.9, "seed": 7, "stop": ["\n\n"], "presence_penalty": 0.1, "frequency_penalty": -0.1,
        "logit_bias": {"50256": -100}, "max_completion_tokens": 9, "user": "u-1", "metadata": {"team": "a"}, "store": False,
        "parallel_tool_calls": False, "reasoning_effort": "low", "service_tier": "auto", "tools": [WEATHER],
    }  # fmt: skip
    house.sdk().chat.completions.create(model="weak", messages=HELLO, extra_body={"top_k": 5, "guided": {"x": [1, None]}}, **options)
    assert house.weak.last_body == {"messages": HELLO, "model": "weak-model", **options, "top_k": 5, "guided": {"x": [1, None]}}


def test_the_backend_gets_its_own_key_and_never_the_clients(house: Any) -> None:
    house.sdk().chat.completions.create(model="weak", messages=HELLO, max_tokens=1, extra_headers={"x-api-key": "sk-full"})
    headers = house.weak.last_headers
    assert headers["authorization"] == "Bearer backend-secret"
    assert not any("sk-full" in text for text in headers.values())


def test_n_answers_come_back_as_n_choices(house: Any) -> None:
    answer = house.sdk().chat.completions.create(model="auto", messages=HELLO, n=3, max_tokens=4)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_a_stream_brings_tokens_one_by_one_and_no_usage_that_was_not_asked_for(house: Any) -> None:
    chunks = list(house.sdk().chat.completions.create(model="auto", messages=HELLO, max_tokens=12, stream=True))
    assert all(len(chunk.choices) == 1 for chunk in chunks), "the usage chunk that the gateway asked for is its own"
    assert sum(bool(chunk.choices[0].delta.content) for chunk in chunks) == 12
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "length"


def test_a_stream_ends_with_usage_when_it_was_asked_for(house: Any) -> None:
    stream = house.sdk().chat.completions.create(
        model="auto", messages=HELLO, max_tokens=12, stream=True, stream_options={"include_usage": True}
    )
    *others, last = list(stream)
    assert last.choices == []
    assert last.usage.completion_tokens == 12
    assert all(chunk.usage is None for chunk in others)


def test_the_sdks_stream_helper_puts_the_answer_together(house: Any) -> None:
    with house.sdk().chat.completions.stream(model="auto", messages=HELLO, extra_body={"sim_output_tokens": 8}) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content


def test_a_forced_tool_is_called_with_arguments_that_meet_its_schema(house: Any) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    answer = house.sdk().chat.completions.create(model="auto", messages=HELLO, tools=[WEATHER], tool_choice=choice)
    (made,) = answer.choices[0].message.tool_calls
    assert made.function.name == "get_weather"
    assert json.loads(made.function.arguments).keys() == {"city", "unit"}
    follow_up: list[Any] = [
        *HELLO,
        answer.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": made.id, "content": '{"degrees": 21}'},
    ]
    assert house.sdk().chat.completions.create(model="auto", messages=follow_up, tools=[WEATHER], max_tokens=4).choices[0].message.content


def test_a_tool_call_can_be_streamed(house: Any) -> None:
    stream = house.sdk().chat.completions.create(model="auto", messages=HELLO, tools=[WEATHER], tool_choice="required", stream=True)
    pieces = [chunk.choices[0].delta.tool_calls[0].function for chunk in stream if chunk.choices and chunk.choices[0].delta.tool_calls]
    assert pieces[0].name == "get_weather"
    assert "city" in json.loads("".join(piece.arguments or "" for piece in pieces))


def test_a_structured_answer_is_parsed_into_the_clients_own_class(house: Any) -> None:
    answer = house.sdk().chat.completions.parse(model="auto", messages=HELLO, response_format=Solution)
    assert isinstance(answer.choices[0].message.parsed, Solution)
    sent = house.state()["worker"]["decisions"][0]["model"]
    assert getattr(house, sent).last_body["response_format"]["type"] == "json_schema"


def test_a_json_schema_that_the_backend_refuses_is_refused_in_its_words(house: Any) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "empty"}}
    with pytest.raises(openai.BadRequestError) as refused:
        house.sdk().chat.completions.create(model="auto", messages=HELLO, response_format=form)
    assert refused.value.param == "response_format"


def test_legacy_completions_are_answered_whole_and_streamed(house: Any) -> None:
    client = house.sdk()
    whole = client.completions.create(model="auto", prompt="Once upon a time", max_tokens=5)
    assert whole.object == "text_completion"
    assert whole.choices[0].text
    streamed = list(client.completions.create(model="auto", prompt=["One", "Two"], max_tokens=5, stream=True))
    assert {chunk.choices[0].index for chunk in streamed} == {0, 1}


def test_embeddings_come_back_as_vectors_and_always_from_the_first_model(house: Any) -> None:
    before = house.weak.state["received"]
    answer = house.sdk().embeddings.create(model="auto", input=["a text", "another one"], dimensions=8)
    assert [len(each.embedding) for each in answer.data] == [8, 8]
    assert math.isclose(sum(x * x for x in answer.data[0].embedding), 1.0, rel_tol=1e-3)
    assert house.strong.last_body["encoding_format"] == "base64", "the SDK's own default is passed on"
    assert house.weak.state["received"] == before


def test_models_are_listed_and_retrieved_by_the_names_that_the_key_may_use(house: Any) -> None:
    client = house.sdk()
    assert [model.id for model in client.models.list()] == ["auto", "small", "strong", "weak"]
    assert [model.id for model in house.sdk("plain").models.list()] == ["auto", "small"]
    assert client.models.retrieve("auto").owned_by == "sluice"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_the_raw_response_tells_what_the_gateway_did(house: Any) -> None:
    raw = house.sdk().chat.completions.with_raw_response.create(
        model="auto", messages=HELLO, max_tokens=3, extra_headers={"x-request-id": "mine-1"}
    )
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-client-request-id"] == "mine-1"
    assert raw.headers["x-sluice-model"] in ("strong", "weak")
    assert raw.headers["x-sluice-attempts"] == "1"
    assert float(raw.headers["x-sluice-overhead-ms"]) < 50
    assert raw.headers["x-sluice-backend"].startswith(raw.headers["x-sluice-model"])
    assert raw.parse()._request_id == raw.headers["x-request-id"], "what users quote when they ask for help"


async def test_the_async_client_holds_many_streams_at_once(house: Any) -> None:
    async with house.async_sdk() as client:

        async def one(number: int) -> int:
            stream = await client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": f"Question {number}"}], max_tokens=10, stream=True
            )
            return sum([bool(chunk.choices[0].delta.content) async for chunk in stream])

        assert await asyncio.gather(*(one(number) for number in range(24))) == [10] * 24


async def test_leaving_a_stream_stops_the_backend_within_200_ms(house: Any) -> None:
    before = house.weak.state["cancelled"]
    async with house.async_sdk() as client:
        stream = await client.chat.completions.create(model="weak", messages=HELLO, max_tokens=2000, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
        left_s = time.monotonic()
        while house.weak.state["cancelled"] == before:
            assert time.monotonic() - left_s < 0.2
            await asyncio.sleep(0.005)
    assert house.weak.state["running"] == 0


async def test_cancelling_a_call_that_is_not_streamed_stops_the_backend_within_200_ms(house: Any) -> None:
    before = house.weak.state["cancelled"]
    async with house.async_sdk() as client:
        task = asyncio.ensure_future(client.chat.completions.create(model="weak", messages=HELLO, max_tokens=4000))
        while house.weak.state["running"] == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        left_s = time.monotonic()
        while house.weak.state["cancelled"] == before:
            assert time.monotonic() - left_s < 0.2
            await asyncio.sleep(0.005)


def test_one_connection_serves_many_calls(house: Any) -> None:
    client = house.sdk()
    ports = set()
    for _ in range(3):
        raw = client.chat.completions.with_raw_response.create(model="small", messages=HELLO, max_tokens=1)
        ports.add(raw.http_response.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(ports) == 1


def test_feedback_on_an_answer_is_accepted(house: Any) -> None:
    client = house.sdk()
    answer = client.chat.completions.create(model="auto", messages=HELLO, max_tokens=1)
    said: Any = client.post("/feedback", body={"request_id": answer._request_id, "verdict": "good"}, cast_to=object)
    assert said == {"status": "accepted", "counts": False}  # The demo promises nothing about quality, so no verdict moves a budget.
