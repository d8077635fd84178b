"""Passing on a stream. What holds:

- Until the first content (text, reasoning, a tool call) nothing reaches the client, so that another attempt may be made;
  comments and role-only deltas are held back, at most `HOLD_S` or `HOLD_BYTES`, then passed on in order. From then
  on a failure ends the stream with an error event and never with [DONE].
- Bytes are passed on as they came, but for the usage chunk that only we asked for. Broken events are held until whole.
"""

from gateway.domain.errors import SERVED, Reason
from gateway.pipeline.needs import Answer
from gateway.pipeline.refusals import failure_in
from gateway.pipeline.walk import Walk
from gateway.ports import Headers, UpstreamFailure
from gateway.wire.chunk import is_error, is_usage_only
from gateway.wire.form import wants_json
from gateway.wire.headers import is_encoded, returned
from gateway.wire.pace import Pace
from gateway.wire.sse import SseEvent, SseReader, first_event, plain_events
from gateway.wire.transcript import Transcript

HOLD_S = 1.0
HOLD_BYTES = 64 * 1024


async def pass_stream(walk: Walk, answer: Answer) -> None:
    """Pass on a stream: event by event until its first content, then what is plain content as it came."""
    if is_encoded(answer.headers):
        await _pass_opaque(walk, answer)
        return
    if _is_to_be_json(walk):
        walk.meter = Transcript()
    reader, meter, clock = SseReader(), walk.meter, walk.shared.clock
    pace = walk.pace = _paced(walk)
    is_injected = not walk.decoded.wants_usage
    headers = returned(answer.headers, False)
    held: list[bytes] = []
    held_bytes, held_from_s = 0, clock.now_s()
    async for chunk in answer.chunks():
        out: list[bytes] = []
        rest = chunk
        while rest:
            if walk.first_s is None:  # Event by event, until there is content.
                piece, rest = first_event(rest)
            else:
                end, events = plain_events(rest) if reader.is_between_events else (0, 0)
                if end:
                    out.append(rest[:end])
                    meter.see_plain(out[-1], events)
                piece, rest = rest[end:], b""
            for event in reader.feed(piece) if piece else ():
                data = event.data
                if data is not None:
                    if b'"error"' in data and is_error(data):
                        await _end_with_error(walk, data, b"".join((*out, event.raw)))
                        return
                    _see(walk, data, answer)
                    if is_injected and meter.usage is not None and b'"usage"' in data and is_usage_only(data):
                        continue
                out.append(event.raw)
        if not out:
            continue
        raw = b"".join(out) if len(out) > 1 else out[0]
        if not walk.is_open:
            held.append(raw)
            held_bytes += len(raw)
            if walk.first_s is None and held_bytes < HOLD_BYTES and clock.now_s() - held_from_s < HOLD_S:
                continue
            await walk.open(answer.status, headers)
            raw = b"".join(held)
        if pace is not None:
            pace.saw(clock.now_s(), meter.content_bytes)
        await walk.client.write(raw)
        if pace is not None:
            pace.wrote(clock.now_s())
    await _end_stream(walk, answer, reader.finish(), headers, held)


async def _end_stream(walk: Walk, answer: Answer, last: list[SseEvent], headers: Headers, held: list[bytes]) -> None:
    """Take what was left without its last blank line, and end the client's stream if this was a whole answer.

    Raises: UpstreamFailure when it was none.
    """
    meter = walk.meter
    for event in last:
        if event.data is not None:
            if is_error(event.data):
                await _end_with_error(walk, event.data, event.raw)
                return
            _see(walk, event.data, answer)
    if walk.first_s is None:
        raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "an empty stream")
    if not meter.is_done and meter.finish_reason is None:
        raise UpstreamFailure(Reason.UPSTREAM_CUT, "the stream ended without its end")
    walk.settle(SERVED)
    if not walk.is_open:
        await walk.open(answer.status, headers)
        last = [SseEvent(b"".join(held), None), *last]
    if last:
        await walk.client.write(b"".join(event.raw for event in last))
    await walk.client.finish()


async def _end_with_error(walk: Walk, data: bytes, raw: bytes) -> None:
    """End a stream with the backend's own error event; no [DONE] may make the answer look whole.

    Raises: UpstreamFailure while the client has not received anything.
    """
    if not walk.is_open:
        raise failure_in(data)
    walk.settle(Reason.UPSTREAM_ERROR)
    await walk.client.write(raw)
    await walk.client.finish()


async def _pass_opaque(walk: Walk, answer: Answer) -> None:
    """Pass on a stream that we cannot read, since the backend compressed it although asked not to."""
    headers = returned(answer.headers, False)
    async for chunk in answer.chunks():
        if not walk.is_open:
            answer.content_began()
            walk.first_token()
            await walk.open(answer.status, headers)
        await walk.client.write(chunk)
    if not walk.is_open:
        raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "an empty stream")
    walk.settle(SERVED)
    await walk.client.finish()


def _see(walk: Walk, data: bytes, answer: Answer) -> None:
    """Take in an event; note the first content. An answer of no text is one too, if it says why it ended."""
    meter = walk.meter
    meter.see(data)
    if walk.first_s is None and (meter.has_content or meter.finish_reason is not None):
        answer.content_began()
        walk.first_token()


def _is_to_be_json(walk: Walk) -> bool:
    """Say whether the client asked for JSON and some SLO wants to know whether it got it."""
    decoded = walk.decoded
    return decoded.has_response_format and walk.dispatcher.promise(walk.facts.route).looks_at_form and wants_json(decoded)


def _paced(walk: Walk) -> Pace | None:
    timelines = walk.dispatcher.promise(walk.facts.route).timelines
    if not timelines or walk.answering is None:
        return None
    return Pace(timelines, walk.facts.arrived_s, walk.tokens_per_byte(walk.answering.model.name))
