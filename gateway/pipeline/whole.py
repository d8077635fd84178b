"""Passing on an answer that the client gets in one piece: as a backend sent it, or put together from a stream.

It is held whole up to `WHOLE_BYTES_MAX`, a larger one is passed on as it comes. The books are closed before its first byte is written, so
that a slow reader holds no backend's slot.
"""

from collections.abc import Awaitable

from gateway.domain.errors import SERVED, Reason
from gateway.pipeline.needs import Answer
from gateway.pipeline.refusals import failure_in
from gateway.pipeline.send import send
from gateway.pipeline.walk import Walk
from gateway.ports import Headers, UpstreamFailure
from gateway.wire.aggregate import Aggregate
from gateway.wire.chunk import is_error
from gateway.wire.headers import is_encoded, returned
from gateway.wire.sse import SseEvent, SseReader, is_done

WHOLE_BYTES_MAX = 8 * 1024 * 1024


async def pass_whole(walk: Walk, answer: Answer) -> None:
    """Pass on an answer that is not streamed."""
    walk.first_token()
    body = answer.ready()
    if body is None and (body := await _gathered(walk, answer)) is None:
        return
    if not is_encoded(answer.headers):
        if not body.lstrip().startswith(b"{"):
            raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "the answer is not a JSON object")
        walk.meter.see_whole(body)
        walk.body = body
        if not walk.meter.has_content and is_error(body):
            raise failure_in(body)
    await _send_served(walk, answer.status, returned(answer.headers, False), body)


async def _gathered(walk: Walk, answer: Answer) -> bytes | None:
    """Return a body that comes in pieces; one that is too large to be held is passed on as it comes, and None returned."""
    parts: list[bytes] = []
    size = 0
    async for chunk in answer.chunks():
        if walk.is_open:
            await walk.client.write(chunk)
            continue
        parts.append(chunk)
        size += len(chunk)
        if size > WHOLE_BYTES_MAX:
            await walk.open(answer.status, returned(answer.headers, False))
            await walk.client.write(b"".join(parts))
            parts.clear()
    if not walk.is_open:
        return b"".join(parts)
    walk.settle(SERVED)
    await walk.client.finish()
    return None


async def pass_aggregate(walk: Walk, answer: Answer) -> None:
    """Put one answer together from a stream that a backend sent although none was asked for."""
    reader, whole, meter = SseReader(), Aggregate(), walk.meter
    async for chunk in answer.chunks():
        for event in reader.feed(chunk):
            _add(walk, event, whole)
        if meter.has_content and walk.first_s is None:
            answer.content_began()
            walk.first_token()
    for event in reader.finish():
        _add(walk, event, whole)
    if not meter.has_content and meter.finish_reason is None:
        raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "an empty stream")
    if not meter.is_done and meter.finish_reason is None:
        raise UpstreamFailure(Reason.UPSTREAM_CUT, "the stream ended without its end")
    headers = [("content-type", "application/json"), *returned(answer.headers, True)]
    walk.body = whole.result()
    await _send_served(walk, answer.status, headers, walk.body)


def _add(walk: Walk, event: SseEvent, whole: Aggregate) -> None:
    data = event.data
    if data is None:
        return
    if is_error(data):
        raise failure_in(data)
    walk.meter.see(data)
    if not is_done(data):
        whole.add(data)


def _send_served(walk: Walk, status: int, headers: Headers, body: bytes) -> Awaitable[None]:
    """Settle; return the sending, to be awaited."""
    walk.settle(SERVED)
    walk.is_open = True
    return send(walk.client, status, walk.with_own(headers), body)
