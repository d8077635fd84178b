"""What a client is told when there is no answer: our own refusal, a backend's, or that we give up in the middle.

A backend's own words are passed on where it had some, but for its opinion of our credentials; its address stays with us.
"""

import msgspec

from gateway.domain.decision import Shed
from gateway.domain.errors import REFUSALS, GatewayError, Reason
from gateway.pipeline.needs import Answer
from gateway.pipeline.send import send_refusal
from gateway.pipeline.walk import Walk
from gateway.ports import ClientGone, Headers, UpstreamFailure
from gateway.wire.headers import returned, without_rate_limits
from gateway.wire.refusal import refusal, terminal_event, upstream_body

ERROR_BODY_MAX = 1024 * 1024
SAID = {
    Reason.UPSTREAM_UNREACHABLE: "no backend could be reached",
    Reason.UPSTREAM_AUTH: "the backend did not accept the gateway's credentials",
    Reason.UPSTREAM_ERROR: "the backend failed",
    Reason.UPSTREAM_RATE_LIMITED: "the backend's own limit is reached",
    Reason.UPSTREAM_TIMEOUT_CONNECT: "the backend could not be reached in time",
    Reason.UPSTREAM_TIMEOUT_TTFT: "the backend sent no first token in time",
    Reason.UPSTREAM_TIMEOUT_IDLE: "the backend fell silent in the middle of its answer",
    Reason.UPSTREAM_TIMEOUT_TOTAL: "the answer was not complete in time",
    Reason.UPSTREAM_CUT: "the backend broke off its answer",
    Reason.UPSTREAM_BAD_ANSWER: "the backend sent something that is no answer",
}
"""What clients are told; the backend's address stays with us."""
JUDGED = {
    401: Reason.UPSTREAM_AUTH,
    403: Reason.UPSTREAM_AUTH,
    408: Reason.UPSTREAM_ERROR,
    429: Reason.UPSTREAM_RATE_LIMITED,
}
"""Errors inside an answer of status 200, by the code they name."""


async def refuse(walk: Walk, why: GatewayError | Shed) -> None:
    """Tell the client a refusal of our own."""
    await send_refusal(walk.client, refusal(why), [], walk.own_headers(why.reason))


async def cut_short(walk: Walk, reason: Reason, message: str) -> None:
    """Tell the client, if it is still there, that we give up in the middle."""
    client = walk.client
    try:
        if client.is_gone or (walk.is_open and not walk.decoded.is_streaming):
            client.abort()
        elif walk.is_open:
            await client.write(terminal_event(reason, message))
            await client.finish()
        else:
            await refuse(walk, GatewayError(reason, message))
    except ClientGone:
        pass


async def tell(walk: Walk, failure: UpstreamFailure) -> None:
    """Tell the client that no attempt succeeded: in the last backend's own words, if it had some."""
    if failure.status is not None and failure.reason is not Reason.UPSTREAM_AUTH:
        await _send_theirs(walk, failure.status, failure.headers, failure.body, failure.retry_after_s)
    else:
        await refuse(walk, GatewayError(failure.reason, said_of(walk, failure), retry_after_s=failure.retry_after_s))


async def pass_refusal(walk: Walk, answer: Answer) -> None:
    """Pass on a backend's own refusal of this request."""
    body = bytearray()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > ERROR_BODY_MAX:
            raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "an error body without end")
    walk.is_refused = True
    walk.settle(Reason.UPSTREAM_REFUSED if answer.status in REFUSALS else Reason.UPSTREAM_ERROR)
    await _send_theirs(walk, answer.status, answer.headers, bytes(body), None)


def said_of(walk: Walk, failure: UpstreamFailure) -> str:
    """Return what this client may hear of a failure."""
    return failure.message if walk.is_debugged else SAID.get(failure.reason, "the backend failed")


def failure_in(data: bytes) -> UpstreamFailure:
    """Return an error object that came with status 200 as the failure it says it is.

    UPSTREAM_REFUSED when it is about the request, so that no other attempt can help.
    """
    status = status_in(data) or 502
    reason = JUDGED.get(status, Reason.UPSTREAM_REFUSED if status in REFUSALS else Reason.UPSTREAM_ERROR)
    return UpstreamFailure(reason, "an error instead of an answer", status, (("content-type", "application/json"),), data)


async def _send_theirs(walk: Walk, status: int, headers: Headers, body: bytes, retry_after_s: float | None) -> None:
    content_type = next((text for name, text in headers if name.lower() == "content-type"), "")
    theirs = upstream_body(status, body, content_type, retry_after_s)
    walk.is_open = True
    passed = returned(headers, True)
    if walk.dispatcher.is_limited(walk.facts):
        passed = without_rate_limits(passed)
    await send_refusal(walk.client, theirs, passed, walk.own_headers())


class _Coded(msgspec.Struct):
    code: int | str | None = None


class _Error(msgspec.Struct):
    error: _Coded


_decode_error = msgspec.json.Decoder(_Error).decode


def status_in(data: bytes) -> int | None:
    """Return the HTTP status that an error object names as its code; None when it names none."""
    try:
        code = _decode_error(data).error.code
        status = int(code) if code is not None else 0
    except (msgspec.DecodeError, ValueError):
        return None
    return status if 400 <= status < 600 else None
