"""What one answer used: tokens as the backend reported them, or an estimate from the bytes that went by.

Chunks of one stream differ in their content only, so the meter does not parse each of them: it reads the first chunk with
content, and every eighth after it, to learn how large the frame around a content is, and takes a chunk's bytes beyond the
frame for content. Only cut streams and backends without usage need that figure. With logprobs in the chunks it is too high.
The last two chunks are kept, and read when somebody asks how the stream ended.
Beside an exact count: tests/property/gateway/wire/test_meter.py.
"""

import math

from gateway.domain.value import Value
from gateway.wire.chunk import are_saying, choices_of, content_bytes, finish_reason_of, whole_of
from gateway.wire.sse import is_done
from gateway.wire.usage import Usage, usage_from, usage_of

_READ_EVERY = 8
_FRAMING_BYTES = len(b"data: \n\n")


class Used(Value, frozen=True):
    """Tokens to be accounted for one attempt."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Part of `prompt_tokens`; 0 when the backend does not tell."""
    reasoning_tokens: int
    """Part of `completion_tokens`; 0 when the backend does not tell."""
    is_estimated: bool
    """True when the backend did not report prompt and completion tokens."""


class Meter:
    """Watches one answer, streamed (`see`) or whole (`see_whole`)."""

    __slots__ = ("_before_last", "_chunks", "_frame_bytes", "_last", "content_bytes", "events", "has_content", "is_done", "usage")

    def __init__(self) -> None:
        self.events = 0
        """Events with data so far, [DONE] included; 1 for a whole answer."""
        self.content_bytes = 0
        """Bytes of content so far, as JSON spells it; see the head of this file for how exact."""
        self.has_content = False
        """Whether content has been seen: true from the chunk on that brings the first."""
        self.is_done = False
        """Whether [DONE] has been seen, or a whole answer."""
        self.usage: Usage | None = None
        """The latest report."""
        self._chunks = 0
        self._frame_bytes = 0
        self._last = self._before_last = b""

    def see(self, data: bytes | None) -> None:
        """Take the data of the next event of a stream; None (a comment) is nothing."""
        if data is None:
            return
        self.events += 1
        if len(data) < 16 and is_done(data):
            self.is_done = True
            return
        if b'"usage"' in data:
            self.usage = usage_of(data) or self.usage
        self._before_last, self._last = self._last, data
        if not self.has_content:
            choices = choices_of(data)
            if are_saying(choices):
                self.has_content = True
                self._read(data)
            return
        self._chunks += 1
        beyond = len(data) - self._frame_bytes
        if beyond <= 0 or self._chunks % _READ_EVERY == 0:
            self._read(data)
        else:
            self.content_bytes += beyond

    def see_plain(self, raw: bytes, events: int) -> None:
        """Take several events of a stream at once, with their framing (`sse.plain_events`)."""
        if not self.has_content:
            for data in raw[6:-2].split(b"\n\ndata: "):
                self.see(data)
            return
        self.events += events
        start = raw.rfind(b"\n\n", 0, -2) + 2
        if events > 1:
            self._last = raw[raw.rfind(b"\n\n", 0, start - 2) + 8 : start - 2] if events > 2 else raw[6 : start - 2]
        self._before_last, self._last = self._last, raw[(start if events > 1 else 0) + 6 : -2]
        before = self._chunks
        self._chunks += events
        beyond = len(raw) - events * (self._frame_bytes + _FRAMING_BYTES)
        if beyond <= 0 or self._chunks // _READ_EVERY != before // _READ_EVERY:
            content = content_bytes(choices_of(self._last))
            if content:  # The last of a stream has another frame, and none.
                self._frame_bytes = len(self._last) - content
            beyond = len(raw) - events * (self._frame_bytes + _FRAMING_BYTES)
        self.content_bytes += max(beyond, 0)

    def see_whole(self, body: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        whole = whole_of(body)
        if whole is None:  # One of them may be readable still.
            choices, self.usage = choices_of(body), usage_of(body)
        else:
            choices, self.usage = whole.choices, None if whole.usage is None else usage_from(whole.usage)
        self.events = 1
        self.content_bytes = content_bytes(choices)
        self.has_content = self.content_bytes > 0 or are_saying(choices)
        self.is_done = True
        self._last = body

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended, from the last two chunks; None while it has not, or was cut."""
        return finish_reason_of(self._last) or finish_reason_of(self._before_last)

    def used(self, prompt_tokens: int, tokens_per_byte: float) -> Used:
        """Return the tokens to be accounted.

        prompt_tokens: the estimate made before the request was sent. tokens_per_byte: of the model's completions; both are
        used only for what the backend did not report. A report of no completion tokens in spite of content is not believed.
        """
        usage = self.usage
        prompt = usage.prompt_tokens if usage else None
        completion = usage.completion_tokens if usage else None
        if completion == 0 and self.has_content:
            completion = None
        is_estimated = prompt is None or completion is None
        if prompt is None:
            prompt = prompt_tokens
        if completion is None:
            completion = math.ceil(self.content_bytes * tokens_per_byte)
        cached = min(prompt, usage.cached_tokens or 0) if usage else 0
        reasoning = min(completion, usage.reasoning_tokens or 0) if usage else 0
        return Used(prompt, completion, cached, reasoning, is_estimated)

    def _read(self, data: bytes) -> None:
        choices = choices_of(data)
        content = content_bytes(choices)
        self.content_bytes += content
        if choices:
            self._frame_bytes = len(data) - content
