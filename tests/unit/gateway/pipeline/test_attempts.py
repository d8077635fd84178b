"""One attempt after the other, as long as the client has been sent nothing."""

from gateway.domain.errors import Reason
from gateway.ports import UpstreamFailure
from tests.unit.gateway.pipeline.world import DONE, ERROR, ROLE, STOP, WORD, Script, World, fails, stream


async def test_a_failed_attempt_goes_to_another_backend_and_a_client_sees_one_answer():
    world = World(fails(), Script(), backends=2)
    client = await world.answered()
    assert (client.status, client.headers["x-sluice-attempts"]) == (200, "2")
    assert len({backend.id for backend, _ in world.upstream.calls}) == 2 and world.books.agains == [False]
    assert [o.reason for o in world.books.outcomes] == [Reason.SERVED] and world.is_clean()


async def test_a_client_is_told_that_another_model_than_the_chosen_one_answers():
    world = World(fails(), Script(), models=2)
    client = await world.answered()
    assert (client.headers["x-sluice-model"], client.headers["x-sluice-reason"]) == (world.books.outcomes[0].model, "fallback")
    assert "fallback" not in world.books.records[0], "the record keeps what was decided"


async def test_no_attempt_is_made_that_the_total_clock_does_not_allow():
    world = World(fails(Reason.UPSTREAM_RATE_LIMITED, retry_after_s=1.0, status=429))
    world.patience.total_timeout = 0.5
    client = await world.answered()
    assert client.status == 429 and len(world.upstream.calls) == 1 and world.is_clean()


async def test_each_attempt_gets_what_is_left_of_the_total_time():
    world = World(fails(), Script(), backends=2)
    world.patience.total_timeout = 7.0
    await world.answered()
    first, second = (call.total_timeout_s for _, call in world.upstream.calls)
    assert second < first <= 7.0


async def test_a_head_of_a_failed_attempt_is_not_the_first_token_of_the_next():
    world = World(Script((b"{", UpstreamFailure(Reason.UPSTREAM_CUT, "cut"))), stream(ROLE, ERROR), stream(WORD, STOP, DONE), backends=3)
    client = await world.answered(stream=True)
    assert client.got == WORD + STOP + DONE and client.headers["x-sluice-attempts"] == "3" and world.is_clean()
