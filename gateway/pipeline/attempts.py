"""The attempts to have one request answered: sent to the ticket's backend, and to the next one while the core has one.

Another attempt is made only while the client has been sent nothing, and only if the total time allows the pause before it.
"""

from gateway.domain.errors import UPSTREAM_REFUSED, GatewayError
from gateway.domain.facts import EMBEDDINGS
from gateway.pipeline.refusals import cut_short, pass_refusal, said_of, tell
from gateway.pipeline.streamed import pass_stream
from gateway.pipeline.walk import Walk
from gateway.pipeline.whole import pass_aggregate, pass_whole
from gateway.ports import Call, Headers, UpstreamFailure
from gateway.wire.headers import forwarded
from gateway.wire.request import splice


async def attempts(walk: Walk) -> None:
    """Lead a request that has its turn to an answer, or tell the client that there is none; settled either way."""
    ticket, shared = walk.taken, walk.shared
    head = forwarded(walk.headers, walk.facts.request_id)
    while True:
        try:
            await _attempt(walk, head)
            return
        except UpstreamFailure as exc:
            failure = exc
        except GatewayError as exc:  # the wire could not read the backend's answer
            failure = UpstreamFailure(exc.reason, exc.message)
        if walk.is_open:
            walk.settle(failure.reason)
            await cut_short(walk, failure.reason, said_of(walk, failure))
            return
        if failure.reason is UPSTREAM_REFUSED:
            walk.settle(failure.reason)
            await tell(walk, failure)
            return
        now_s = shared.clock.now_s()
        walk.answering = None
        again = walk.dispatcher.failed(ticket, failure.reason, now_s, failure.retry_after_s)
        shared.sweep(walk.dispatcher, now_s)
        if again is None or _left_s(walk, now_s) <= again.delay_s:
            walk.settle(failure.reason)
            await tell(walk, failure)
            return
        assert ticket.placed is not None
        shared.observer.again(ticket.placed.model.name, again.is_retry)
        if again.delay_s > 0:
            await shared.clock.sleep(again.delay_s)


async def _attempt(walk: Walk, head: Headers) -> None:
    """Make one attempt and pass on its answer.

    Raises: UpstreamFailure.
    """
    shared, decoded, ticket = walk.shared, walk.decoded, walk.taken
    placed = ticket.placed
    assert placed is not None
    body = splice(decoded, placed.backend.model, include_usage=walk.facts.endpoint is not EMBEDDINGS)
    now_s = shared.clock.now_s()
    ttft_timeout_s = walk.runtime.config.upstream.ttft_timeout
    call = Call(walk.path, body, head, decoded.is_streaming, ttft_timeout_s, max(_left_s(walk, now_s), 0.001))
    walk.dispatcher.sent(ticket, now_s)
    walk.begin(placed, now_s)
    answer = await shared.upstream.send(placed.backend, call)
    try:
        if answer.status >= 400:
            await pass_refusal(walk, answer)
        elif not answer.is_stream:
            await pass_whole(walk, answer)
        elif decoded.is_streaming:
            await pass_stream(walk, answer)
        else:
            await pass_aggregate(walk, answer)
    finally:
        answer.close()


def _left_s(walk: Walk, now_s: float) -> float:
    return walk.facts.arrived_s + walk.runtime.config.upstream.total_timeout - now_s
