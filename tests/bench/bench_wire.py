"""Micro-benchmarks of the wire room: `python tests/bench/bench_wire.py` prints microseconds per call.

Each line is the best of many runs, so that a busy machine disturbs it little; compare lines with each other, not with those
of another machine. Recorded on 2 shared cores, CPython 3.11, msgspec 0.22, chat of 1 KB: decode 3.9, of which the typed parse
0.4, sizes and turns 0.9, the proof where `model` lies 1.7; splice 0.6; SSE reader 0.9 and meter 0.4 per event.
"""

import json
import timeit
from collections.abc import Callable

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import Endpoint
from gateway.wire.aggregate import Aggregate
from gateway.wire.chunk import has_content, is_error
from gateway.wire.headers import Trace, forwarded, own, returned
from gateway.wire.meter import Meter
from gateway.wire.names import parse_model
from gateway.wire.refusal import refusal
from gateway.wire.request import decode, splice
from gateway.wire.sse import SseReader
from gateway.wire.usage import usage_of

SENTENCE = 'The quick brown fox jumps over the lazy dog and asks "why?" again.\n'
CLIENT_HEADERS = [
    ("Host", "gateway:8080"),
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "keep-alive"),
    ("Content-Length", "1024"),
    ("Content-Type", "application/json"),
    ("User-Agent", "OpenAI/Python 2.0"),
    ("Authorization", "Bearer key"),
    ("X-Stainless-Lang", "python"),
    ("X-Stainless-Retry-Count", "0"),
]
BACKEND_HEADERS = [
    ("date", "now"),
    ("server", "uvicorn"),
    ("content-type", "text/event-stream"),
    ("x-request-id", "r"),
    ("transfer-encoding", "chunked"),
]


def body(sentences: int, stray: str = "") -> bytes:
    """A chat of a system and a user message; `stray` goes into an unknown member."""
    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": SENTENCE * sentences}]
    more = {"metadata": {stray: "x"}} if stray else {}
    return json.dumps({"messages": messages, "model": "auto", "stream": True, "max_tokens": 200, "temperature": 0.7, **more}).encode()


def chunk(text: str) -> bytes:
    """A chunk as vLLM spells it, about 200 bytes."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    head = {"id": "chatcmpl-0123456789abcdef", "object": "chat.completion.chunk", "created": 1700000000, "model": "small-model"}
    return json.dumps({**head, "choices": [choice]}, separators=(",", ":")).encode()


def report(name: str, call: Callable[[], object], per: int = 1) -> None:
    """Print the best time of one call, divided by `per`."""
    number = 2000
    best_s = min(timeit.repeat(call, number=number, repeat=15)) / number
    print(f"{name:58s} {best_s * 1e6 / per:8.2f} us")


def report_body(label: str, text: bytes) -> None:
    """Print what a request body of one kind costs."""
    decoded = decode(Endpoint.CHAT, text)
    report(f"decode, {label}", lambda: decode(Endpoint.CHAT, text))
    report(f"splice model, {label}", lambda: splice(decoded, "big-model", False))
    report(f"splice model and usage, {label}", lambda: splice(decoded, "big-model", True))
    report(f"prompt_text, {label}", lambda: decoded.prompt_text)
    report(f"conversation_key, {label}", lambda: decoded.conversation_key)


def main() -> None:
    """Print all figures."""
    report_body("1 KB", body(12))
    report_body("8 KB", body(110))
    report_body("1 KB, `model` nested too: walked", body(12, "model"))
    report("parse_model, plain", lambda: parse_model("auto"))
    report("parse_model, router", lambda: parse_model("router-mf-0.11593"))

    events = [chunk(word) for word in SENTENCE.split()] * 5
    stream = [b"data: " + event + b"\n\n" for event in events]

    def read_stream() -> None:
        reader = SseReader()
        for piece in stream:
            reader.feed(piece)

    def meter_stream() -> None:
        meter = Meter()
        for event in events:
            meter.see(event)

    def aggregate_stream() -> None:
        aggregate = Aggregate()
        for event in events:
            aggregate.add(event)
        aggregate.result()

    report("SseReader.feed, per event", read_stream, len(stream))
    report("Meter.see, per event", meter_stream, len(events))
    report("Aggregate, per event", aggregate_stream, len(events))
    report("has_content, one chunk", lambda: has_content(events[0]))
    report("is_error, one chunk", lambda: is_error(events[0]))
    counts = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 64}}
    usage = json.dumps({"id": "c", "choices": [], "usage": counts}).encode()
    report("usage_of, the usage chunk", lambda: usage_of(usage))
    report("forwarded headers", lambda: forwarded(CLIENT_HEADERS, "0123456789abcdef"))
    report("returned headers", lambda: returned(BACKEND_HEADERS, False))
    trace = Trace("0123456789abcdef", "weak", "score", 1, 0.0005)
    report("own headers", lambda: own(trace))
    shed = GatewayError(Reason.SHED_OVERLOAD, "too busy", retry_after_s=1.5)
    report("refusal", lambda: refusal(shed))


if __name__ == "__main__":
    main()
