"""What can be said of an answer's form."""

import json
from typing import Any

import pytest

from gateway.domain.event import Form
from gateway.domain.facts import Endpoint
from gateway.wire.form import form_of, has_json, wants_json
from gateway.wire.meter import Meter
from gateway.wire.request import Decoded, decode
from gateway.wire.transcript import TEXT_BYTES_MAX, Transcript


def asked(**more: Any) -> Decoded:
    return decode(Endpoint.CHAT, json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], **more}).encode())


def whole(content: str | None, finish: str = "stop", **message: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content, **message}, "finish_reason": finish}]}).encode()


def form(body: bytes, decoded: Decoded) -> Form:
    meter = Meter()
    meter.see_whole(body)
    return form_of(decoded, meter, body)


JSON = {"response_format": {"type": "json_object"}}
CALL = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("body", "request_", "expected"),
    [
        (whole("hello"), {}, Form.WHOLE),
        (whole(""), {}, Form.EMPTY),
        (whole(None), {}, Form.EMPTY),
        (whole(None, tool_calls=CALL), {}, Form.WHOLE),
        (whole("hel", "length"), {}, Form.CUT),
        (whole("hel", "length"), {"max_tokens": 1}, Form.WHOLE),
        (whole("hel", "length"), {"max_completion_tokens": 1}, Form.WHOLE),
        (whole('{"a": 1}'), JSON, Form.WHOLE),
        (whole("Sure! {}"), JSON, Form.NOT_JSON),
        (whole('{"a": '), JSON, Form.NOT_JSON),
        (whole("Sure! {}"), {"response_format": {"type": "text"}}, Form.WHOLE),
        (whole("Sure! {}"), {"response_format": {"type": "json_schema", "json_schema": {}}}, Form.NOT_JSON),
        (whole(None, tool_calls=CALL), JSON, Form.WHOLE),
        (whole('{"a": 1e400}'), JSON, Form.WHOLE),
        (whole('{"a": 1}', "length"), JSON, Form.CUT),
        (whole('{"a": ', "length"), {**JSON, "max_tokens": 1}, Form.NOT_JSON),
    ],
)
def test_what_is_wrong_is_said(body: bytes, request_: dict[str, Any], expected: Form) -> None:
    assert form(body, asked(**request_)) is expected


def test_a_stream_is_judged_by_content_and_end() -> None:
    meter = Meter()
    assert form_of(asked(**JSON), meter, None) is Form.EMPTY
    meter.see(b'{"choices":[{"delta":{"content":"not json"},"finish_reason":null}]}')
    assert form_of(asked(**JSON), meter, None) is Form.WHOLE
    meter.see(b'{"choices":[{"delta":{},"finish_reason":"length"}]}')
    assert form_of(asked(), meter, None) is Form.CUT


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": "fp"}
    return json.dumps({**head, "choices": [choice]}).encode()


def streamed(*texts: str, finish: str = "stop", **around: Any) -> list[bytes]:
    return [chunk({"role": "assistant", "content": ""}), *[chunk({"content": t, **around}) for t in texts], chunk({}, finish), b"[DONE]"]


@pytest.mark.parametrize(
    ("datas", "request_", "expected"),
    [
        (streamed('{"a"', ": 1}"), JSON, Form.WHOLE),
        (streamed("Sure! ", "{}"), JSON, Form.NOT_JSON),
        (streamed('{"a"', ": "), JSON, Form.NOT_JSON),
        (streamed('{"a"', ": ", finish="length"), JSON, Form.CUT),
        (streamed('{"a"', ": ", finish="length"), {**JSON, "max_tokens": 1}, Form.NOT_JSON),
        (streamed(), JSON, Form.EMPTY),
        ([chunk({"tool_calls": CALL}), chunk({}, "tool_calls")], JSON, Form.WHOLE),
        ([chunk({"refusal": "I can't"}), chunk({}, "stop")], JSON, Form.WHOLE),
        ([chunk({"reasoning_content": "well, "}), *streamed("{}")], JSON, Form.WHOLE),
        ([chunk({"reasoning": "{"}), *streamed("}")], JSON, Form.NOT_JSON),
    ],
)
def test_a_stream_that_was_written_down_is_judged_as_a_whole_answer(datas: list[bytes], request_: dict[str, Any], expected: Form) -> None:
    meter = Transcript()
    for data in datas:
        meter.see(data)
    assert form_of(asked(**request_), meter, None) is expected


def test_of_a_text_too_long_to_keep_nothing_is_said() -> None:
    meter = Transcript()
    for data in streamed("no JSON ", "x" * TEXT_BYTES_MAX):
        meter.see(data)
    assert form_of(asked(**JSON), meter, None) is Form.WHOLE


def test_odd_formats_ask_for_nothing_and_odd_answers_hold_no_json() -> None:
    assert not wants_json(asked(response_format="json"))
    assert not has_json(b"[1") and has_json(b"{}")
