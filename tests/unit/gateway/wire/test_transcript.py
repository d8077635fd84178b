"""What a stream's first choice has said."""

import json
from typing import Any

import pytest

from gateway.wire.meter import Meter
from gateway.wire.transcript import TEXT_BYTES_MAX, Transcript

# As servers of today send them: OpenAI's spelling, vLLM's, a usage member in every chunk, two choices in one chunk.
OPENAI = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"default","system_fingerprint":"fp",'
    b'"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"8Gz"}'
)
VLLM = (
    b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%b,"logprobs":null}],'
    b'"usage":{"prompt_tokens":5,"total_tokens":9,"completion_tokens":4}}'
)
END = b'{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'


def heard(*datas: bytes | None) -> Transcript:
    meter = Transcript()
    for data in datas:
        meter.see(data)
    return meter


def said(*texts: str, index: int = 0) -> list[bytes]:
    return [json.dumps({"choices": [{"index": index, "delta": {"content": text}}]}).encode() for text in texts]


@pytest.mark.parametrize("frame", [OPENAI, VLLM])
def test_texts_are_put_together(frame: bytes) -> None:
    deltas = (b'{"role":"assistant","content":"","refusal":null}', b'{"content":"{\\"a"}', b'{"content":"\\":\\n1}"}')
    meter = heard(None, *[frame % delta for delta in deltas], END, b"[DONE]")
    assert meter.text == '{"a":\n1}' and meter.is_done and meter.has_content and meter.finish_reason == "stop"


def test_what_is_no_text_of_the_first_choice_is_left_out() -> None:
    mixed = b'{"choices":[{"index":1,"delta":{"content":"no"}},{"index":0,"delta":{"content":"yes"}}]}'
    deltas: list[dict[str, Any]] = [
        {"reasoning_content": "no", "content": None}, {"reasoning": "no"}, {"refusal": "no"},
        {"tool_calls": [{"index": 0, "function": {"arguments": "no"}}]},
    ]  # fmt: skip
    others = [json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() for delta in deltas]
    assert heard(*others, *said("no", index=1), mixed, b'{"choices":[],"usage":{}}', b'{"x":1}', END).text == "yes"


@pytest.mark.parametrize(
    "odd",
    [
        b"{nonsense",
        b'{"choices":[{"delta":{"content":"\\ud83d"}}]}',
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b'{"choices":[{"index":"0","delta":{}}]}',
        b'{"choices":[{"delta":{"content":[{"type":"text","text":"x"}]}}]}',
    ],
)
def test_nothing_is_known_after_a_chunk_of_another_shape(odd: bytes) -> None:
    assert heard(*said("{}"), odd, *said("{}")).text is None


def test_a_text_is_kept_up_to_its_bound_and_then_let_go() -> None:
    assert heard(*said("x", "y" * (TEXT_BYTES_MAX - 1))).text == "x" + "y" * (TEXT_BYTES_MAX - 1)
    longer = heard(*said("x", "y" * TEXT_BYTES_MAX, "z"))
    assert longer.text is None and longer.content_bytes == TEXT_BYTES_MAX + 2


def test_everything_else_is_told_as_by_a_usual_meter() -> None:
    datas = [OPENAI % b'{"role":"assistant","content":""}', *said(*"some words".split(), "x" * 9), END]
    usual, transcript = Meter(), Transcript()
    for data in datas:
        usual.see(data)
    transcript.see_plain(b"".join(b"data: %b\n\n" % data for data in datas), len(datas))
    assert transcript.text == "somewords" + "x" * 9
    for name in ("events", "content_bytes", "has_content", "is_done", "usage", "finish_reason"):
        assert getattr(transcript, name) == getattr(usual, name), name
