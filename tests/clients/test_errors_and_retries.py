"""What openai-python's users see when something is wrong, and how often their SDK comes back."""

import asyncio
import time
from typing import Any

import openai
import pytest

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
FOUR_KEYS = {"message", "type", "param", "code"}


def asked(client: openai.OpenAI, model: str = "auto", messages: Any = HELLO, **more: Any) -> Any:
    return client.chat.completions.with_raw_response.create(model=model, messages=messages, **{"max_tokens": 3, **more})


def test_an_unknown_model_is_404_and_the_message_names_those_that_exist(house: Any, counted: Any) -> None:
    http, made = counted
    with pytest.raises(openai.NotFoundError) as wrong:
        asked(house.sdk(max_retries=2, http_client=http), "gpt-9")
    body: Any = wrong.value.body
    assert body.keys() == FOUR_KEYS
    assert (body["code"], body["param"], body["type"]) == ("model_not_found", "model", "not_found_error")
    assert "auto, small, strong, weak" in body["message"]
    assert wrong.value.request_id is not None
    assert len(made) == 1, "retrying would not help"


def test_a_body_that_is_wrong_is_400_without_a_retry(house: Any, counted: Any) -> None:
    http, made = counted
    client = house.sdk(max_retries=2, http_client=http)
    with pytest.raises(openai.BadRequestError) as wrong:
        client.post("/chat/completions", body={"messages": HELLO}, cast_to=object)
    assert wrong.value.code == "invalid_request"
    assert wrong.value.param == "model"
    with pytest.raises(openai.BadRequestError) as not_json:
        client.post("/chat/completions", content=b'{"model": "auto", "messages": [', cast_to=object)
    assert not_json.value.code == "invalid_json"
    assert len(made) == 2


def test_what_only_the_backend_can_judge_is_refused_in_its_own_words(house: Any) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        asked(house.sdk(), n=0)
    assert wrong.value.param == "n"
    assert "whole number" in str(wrong.value)
    assert house.breakers() == {"strong": "closed", "weak": "closed"}


def test_a_prompt_longer_than_every_context_is_refused_as_openai_does(house: Any) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        house.sdk().chat.completions.create(model="small", messages=[{"role": "user", "content": "word " * 60_000}])
    assert wrong.value.code == "context_length_exceeded"


def test_a_failing_backend_is_replaced_by_another_model_and_the_sdk_notices_nothing(house: Any, counted: Any) -> None:
    http, made = counted
    house.strong.break_("errors", size=1.0)
    raw = asked(house.sdk(max_retries=2, http_client=http), "router-auto-0.0")
    assert raw.headers["x-sluice-model"] == "weak"
    assert raw.headers["x-sluice-attempts"] == "2"
    assert len(made) == 1


def test_an_error_in_the_first_event_of_a_stream_is_a_failed_attempt_too(house: Any) -> None:
    house.strong.break_("error_first_frame")
    raw = asked(house.sdk(), "router-auto-0.0", stream=True)
    assert raw.headers["x-sluice-model"] == "weak"
    assert sum(bool(chunk.choices[0].delta.content) for chunk in raw.parse()) == 3


def test_when_every_backend_fails_the_sdk_retries_twice_and_gets_their_own_error(house: Any, counted: Any) -> None:
    http, made = counted
    house.strong.break_("errors", size=1.0)
    house.weak.break_("errors", size=1.0)
    with pytest.raises(openai.InternalServerError) as wrong:
        asked(house.sdk(max_retries=2, http_client=http))
    assert wrong.value.status_code in (500, 503)
    assert wrong.value.body.keys() == FOUR_KEYS  # type: ignore[attr-defined]
    assert len(made) == 3


def test_a_rate_limited_backend_is_not_a_broken_one(house: Any) -> None:
    house.strong.break_("rate_limit", size=2)
    raw = asked(house.sdk(), "router-auto-0.0")
    assert raw.headers["x-sluice-model"] == "weak"
    assert house.breakers()["strong"] == "closed"
    assert asked(house.sdk(), "router-auto-0.0").headers["x-sluice-attempts"] == "1", "it is not asked again before it said so"


def test_a_429_of_the_only_backend_reaches_the_client_with_its_retry_after(house: Any) -> None:
    house.weak.break_("rate_limit", size=3)
    with pytest.raises(openai.RateLimitError) as limited:
        asked(house.sdk(), "small")
    assert limited.value.response.headers["retry-after"] == "3"
    with pytest.raises(openai.InternalServerError) as away:
        asked(house.sdk(), "small")
    assert away.value.status_code == 503
    assert 2 <= int(away.value.response.headers["retry-after"]) <= 3, "known from before, without asking it"


def test_the_sdk_obeys_a_short_retry_after_and_succeeds(house: Any, counted: Any) -> None:
    http, made = counted
    house.weak.break_("rate_limit", size=1)
    began_s = time.monotonic()
    client = house.sdk(max_retries=2, http_client=http)
    with pytest.raises(openai.RateLimitError):
        asked(house.sdk(), "small")
    house.weak.mend()
    assert asked(client, "small").headers["x-sluice-model"] == "weak"
    assert len(made) == 2
    assert time.monotonic() - began_s >= 0.9


def test_a_spent_daily_limit_is_429_and_the_sdk_does_not_come_back(house: Any, counted: Any) -> None:
    http, made = counted
    asked(house.sdk("spender"))
    with pytest.raises(openai.RateLimitError) as spent:
        asked(house.sdk("spender", max_retries=2, http_client=http))
    assert spent.value.code == "limit_usd"
    assert spent.value.response.headers["x-should-retry"] == "false"
    assert int(spent.value.response.headers["retry-after"]) > 60
    assert len(made) == 1


def test_requests_per_minute_are_limited_with_the_wait_that_frees_one(house: Any) -> None:
    client = house.sdk("rated")
    with pytest.raises(openai.RateLimitError) as limited:
        for _ in range(80):
            asked(client, max_tokens=1)
    assert limited.value.code == "limit_requests"
    assert int(limited.value.response.headers["retry-after-ms"]) <= 1000


async def test_a_request_whose_deadline_cannot_be_met_is_shed_and_the_sdk_does_not_come_back(house: Any, counted: Any) -> None:
    http, made = counted
    house.weak.break_("slow", size=30)  # what is sent there now waits seconds for its prefill
    async with house.async_sdk() as client:
        long: list[Any] = [{"role": "user", "content": "word " * 1200}]
        waiting = [asyncio.ensure_future(client.chat.completions.create(model="small", messages=long, stream=True)) for _ in range(6)]
        async with asyncio.timeout(5):
            while house.state()["local"]["queue"]["waiting"] == 0:
                await asyncio.sleep(0.01)
        with pytest.raises(openai.InternalServerError) as shed:
            await asyncio.to_thread(asked, house.sdk("hurried", max_retries=2, http_client=http), "small", long)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    assert shed.value.status_code == 503
    assert shed.value.code == "shed_deadline"
    assert shed.value.response.headers["x-should-retry"] == "false"
    assert int(shed.value.response.headers["retry-after"]) >= 1
    assert len(made) == 1


def test_a_stream_that_breaks_off_ends_in_an_error_and_never_looks_whole(house: Any) -> None:
    house.weak.break_("cut", size=5)
    seen = []
    with pytest.raises(openai.APIError) as cut:
        for chunk in house.sdk().chat.completions.create(model="small", messages=HELLO, max_tokens=50, stream=True):
            seen.append(chunk)
    assert sum(bool(chunk.choices[0].delta.content) for chunk in seen) == 5
    assert cut.value.code == "upstream_cut"
    assert all(chunk.choices[0].finish_reason is None for chunk in seen)


def test_a_backend_that_refuses_connections_is_passed_over_and_then_left_alone(house: Any, wait_for: Any) -> None:
    house.strong.break_("refuse")
    client = house.sdk()
    for _ in range(4):
        assert asked(client, "router-auto-0.0").headers["x-sluice-model"] == "weak"
    wait_for(lambda: house.breakers()["strong"] == "open")
    with pytest.raises(openai.InternalServerError) as away:
        asked(client, "strong")
    assert away.value.code == "no_backend"
    assert int(away.value.response.headers["retry-after"]) >= 1
