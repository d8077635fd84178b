"""Verdicts wait for the store without holding anybody up."""

import pytest

from gateway.domain.errors import GatewayError, Reason
from gateway.edges.server.feedback import QUEUE_MAX, Feedback
from gateway.ports import StoreAway

FIRST, SECOND = "req_" + "1" * 24, "req_" + "2" * 24


class Kept:
    """A store that can be away."""

    def __init__(self) -> None:
        self.verdicts: list[tuple[object, ...]] = []
        self.is_away = False

    async def feedback(self, *verdict: object) -> None:
        if self.is_away:
            raise StoreAway("away")
        self.verdicts.append(verdict)


def body(request_id: str, said: str) -> bytes:
    return f'{{"request_id":"{request_id}",{said}}}'.encode()


async def test_verdicts_are_written_in_order_with_tenant_and_time():
    feedback, store = Feedback(), Kept()
    feedback.take(body(FIRST, '"verdict":"good"'), "acme", 5.0)
    feedback.take(body(SECOND, '"verdict":"bad","score":0'), "acme", 6.0)
    assert await feedback.flush(store) == 2  # type: ignore[arg-type]
    assert store.verdicts == [(FIRST, "acme", {"verdict": "good"}, 5.0), (SECOND, "acme", {"verdict": "bad", "score": 0.0}, 6.0)]
    assert await feedback.flush(store) == 0  # type: ignore[arg-type]


async def test_what_the_store_did_not_take_waits_for_the_next_time():
    feedback, store = Feedback(), Kept()
    feedback.take(body(FIRST, '"score":1'), "acme", 5.0)
    store.is_away = True
    with pytest.raises(StoreAway):
        await feedback.flush(store)  # type: ignore[arg-type]
    store.is_away = False
    assert await feedback.flush(store) == 1  # type: ignore[arg-type]


def test_the_queue_is_bounded_and_drops_are_counted():
    feedback = Feedback()
    for _ in range(QUEUE_MAX + 3):
        feedback.take(body(FIRST, '"score":1'), "acme", 5.0)
    assert feedback.dropped == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", Reason.BAD_JSON),
        (b"\xff", Reason.BAD_JSON),
        (b"[]", Reason.BAD_REQUEST),
        (b'{"request_id":"req_111111111111111111111111"}', Reason.BAD_REQUEST),
        (b'{"request_id":"req_111111111111111111111111","score":"high"}', Reason.BAD_REQUEST),
        (b'{"request_id":"req_111111111111111111111111","score":1.01}', Reason.BAD_REQUEST),
        (b'{"request_id":"req_111111111111111111111111","score":-0.1}', Reason.BAD_REQUEST),
        (b'{"request_id":"req_111111111111111111111111","verdict":"good","prompt":"secret"}', Reason.BAD_REQUEST),
        (b'{"request_id":"' + b"r" * 200 + b'","verdict":"good"}', Reason.BAD_REQUEST),
        (b'{"request_id":"what is the capital of France?","verdict":"good"}', Reason.BAD_REQUEST),
    ],
)
def test_what_is_no_verdict_is_refused(body, reason):
    with pytest.raises(GatewayError) as caught:
        Feedback().take(body, "acme", 0.0)
    assert caught.value.reason is reason
