"""Verdicts wait for the store without holding anybody up."""

import pytest

from gateway.domain.errors import GatewayError, Reason
from gateway.edges.server.feedback import QUEUE_MAX, Asked, Feedback
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


NOW = 40 * 86_400.0


def asked(request_id: str, tenant: str) -> Asked | None:
    """Two requests of acme: one of an hour ago, one of 32 days ago; SECOND is nobody's."""
    if tenant != "acme":
        return None
    return {FIRST: Asked("auto", NOW - 3600.0), OLD: Asked("auto", NOW - 32 * 86_400.0), AHEAD: Asked("auto", NOW + 3600.0)}.get(request_id)


OLD, AHEAD = "req_" + "3" * 24, "req_" + "4" * 24


class Remembering(Kept):
    """A store that knows which verdict is the first on a request."""

    async def feedback(self, *verdict: object) -> bool:
        known = {v[0] for v in self.verdicts}
        await super().feedback(*verdict)
        return verdict[0] not in known


async def test_a_first_verdict_counts_at_the_time_of_its_request():
    feedback, store, counted = Feedback(asked), Remembering(), []
    assert feedback.take(body(FIRST, '"verdict":"bad","score":0.9'), "acme", NOW)
    assert feedback.take(body(FIRST, '"verdict":"good"'), "acme", NOW)
    assert await feedback.flush(store, lambda *told: counted.append(told)) == 2  # type: ignore[arg-type]
    assert counted == [("auto", False, 1.0, NOW - 3600.0)]
    assert [v[3] for v in store.verdicts] == [NOW - 3600.0] * 2  # One day's verdicts lie together, whenever they come.


async def test_what_was_seldom_looked_at_counts_for_more_up_to_a_bound():
    for told, weight in (('"score":0.5,"propensity":0.1', 10.0), ('"score":1,"propensity":0.001', 20.0), ('"score":0.6', 1.0)):
        feedback = Feedback(asked)
        feedback.take(body(FIRST, told), "acme", NOW)
        counted: list[tuple[object, ...]] = []

        def count(*said: object, into: list[tuple[object, ...]] = counted) -> None:
            into.append(said)

        await feedback.flush(Remembering(), count)  # type: ignore[arg-type]
        assert counted == [("auto", True, pytest.approx(weight), NOW - 3600.0)]


@pytest.mark.parametrize(("request_id", "tenant"), [(SECOND, "acme"), (FIRST, "other"), (OLD, "acme"), (AHEAD, "acme")])
async def test_what_is_about_nothing_that_counts_is_kept_and_not_counted(request_id: str, tenant: str):
    feedback, store, counted = Feedback(asked), Remembering(), []
    assert not feedback.take(body(request_id, '"verdict":"bad"'), tenant, NOW)
    await feedback.flush(store, lambda *told: counted.append(told))  # type: ignore[arg-type]
    assert len(store.verdicts) == 1 and counted == []


@pytest.mark.parametrize("told", ["0", "-0.1", "1.01"])
def test_a_propensity_is_a_probability_above_nothing(told: str):
    with pytest.raises(GatewayError, match="propensity"):
        Feedback().take(body(FIRST, f'"verdict":"good","propensity":{told}'), "acme", 0.0)
