"""Keys and rights: who is let in, and what a key may ask for."""

import json
from typing import Any, cast

import openai
import pytest

HELLO: list[Any] = [{"role": "user", "content": "hello"}]


def asked(client: openai.OpenAI, model: str = "auto", **more: Any) -> Any:
    return client.chat.completions.with_raw_response.create(model=model, messages=HELLO, **{"max_tokens": 2, **more})


def test_a_wrong_key_and_no_key_are_401_and_say_different_things(house: Any, counted: Any) -> None:
    http, made = counted
    client = openai.OpenAI(base_url=house.base_url, api_key="sk-nobody", max_retries=2, http_client=http)
    for headers, code in (({}, "invalid_api_key"), ({"Authorization": openai.Omit()}, "missing_api_key")):
        with pytest.raises(openai.AuthenticationError) as refused:
            asked(client, extra_headers=cast(Any, headers))
        assert refused.value.code == code
        assert refused.value.response.headers["www-authenticate"].startswith("Bearer")
        with pytest.raises(openai.AuthenticationError):
            client.models.list(extra_headers=cast(Any, headers))
    assert len(made) == 4, "no retries"


def test_a_key_is_also_taken_from_x_api_key_as_other_sdks_send_it(house: Any) -> None:
    headers = cast(Any, {"Authorization": openai.Omit(), "x-api-key": "sk-plain"})
    assert asked(house.sdk("full"), extra_headers=headers).status_code == 200
    assert house.decisions()[0]["tenant"] == "plain"


def test_a_model_by_name_is_for_those_who_may_choose(house: Any) -> None:
    assert asked(house.sdk("full"), "strong").headers["x-sluice-model"] == "strong"
    with pytest.raises(openai.PermissionDeniedError) as refused:
        asked(house.sdk("plain"), "strong")
    assert refused.value.code == "not_allowed"
    assert "auto, small" in str(refused.value)


def test_a_threshold_of_ones_own_goes_both_ways_with_the_right_and_only_up_without(house: Any) -> None:
    full, plain = house.sdk("full"), house.sdk("plain")
    assert asked(full, "router-auto-0.0").headers["x-sluice-model"] == "strong"
    assert asked(full, "router-auto-1.0").headers["x-sluice-model"] == "weak"
    assert asked(plain, "router-auto-1.0").headers["x-sluice-model"] == "weak"
    usual = asked(plain, "auto").headers["x-sluice-model"]
    assert asked(plain, "router-auto-0.0").headers["x-sluice-model"] == usual, "nobody buys out of the budget by a name"


def test_routellms_own_router_names_find_the_first_route(house: Any) -> None:
    assert asked(house.sdk("full"), "router-mf-0.9").status_code == 200


def test_a_client_may_lower_its_class_and_not_raise_it(house: Any) -> None:
    lowered = asked(house.sdk("plain"), extra_headers={"x-sluice-class": "batch"})
    assert house.decisions()[0]["request_id"] == lowered.headers["x-request-id"]
    assert house.decisions()[0]["class"] == "batch"
    with pytest.raises(openai.PermissionDeniedError) as refused:
        asked(house.sdk("plain"), extra_headers={"x-sluice-class": "critical"})
    assert "may only lower" in str(refused.value)
    asked(house.sdk("full"), extra_headers={"x-sluice-class": "critical"})
    assert house.decisions()[0]["class"] == "critical"
    with pytest.raises(openai.BadRequestError) as unknown:
        asked(house.sdk("plain"), extra_headers={"x-sluice-class": "vip"})
    assert "critical, standard, batch" in str(unknown.value)


def test_details_of_the_decision_are_for_those_who_may_debug(house: Any) -> None:
    details = {"x-sluice-threshold", "x-sluice-win-rate", "x-sluice-backend", "x-sluice-prices-version"}
    assert details <= set(asked(house.sdk("full")).headers.keys())
    assert not details & set(asked(house.sdk("plain")).headers.keys())


def test_hints_for_the_gateway_stay_with_it(house: Any) -> None:
    asked(house.sdk("full"), "weak", extra_headers={"x-sluice-class": "batch", "x-sluice-no-downgrade": "1", "x-mine": "kept"})
    headers = house.weak.last_headers
    assert not [name for name in headers if name.startswith("x-sluice")]
    assert headers["x-mine"] == "kept"


def test_no_key_and_no_prompt_is_written_down(house: Any, folder: Any, wait_for: Any) -> None:
    secret = "the-prompt-that-nobody-may-keep"
    answer = house.sdk("plain").chat.completions.create(model="auto", messages=[{"role": "user", "content": secret}], max_tokens=1)
    log = folder / "decisions.jsonl"
    wait_for(lambda: answer._request_id in log.read_text())
    line = next(json.loads(line) for line in log.read_text().splitlines() if answer._request_id in line)
    assert line["tenant"] == "plain"
    for file in (file for file in folder.rglob("*") if file.is_file()):
        kept = file.read_bytes()
        assert secret.encode() not in kept, file
        assert b"sk-plain" not in kept, file
