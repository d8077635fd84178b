"""What a client is told when there is no answer."""

import asyncio

import pytest

from gateway.domain.errors import Reason
from gateway.pipeline.refusals import status_in
from tests.unit.gateway.pipeline.world import WORD, Client, Script, World, fails, stream


async def test_the_last_failure_is_told_without_the_backends_name_but_to_who_may_debug():
    for is_debugged in (False, True):
        world = World(fails(Reason.UPSTREAM_UNREACHABLE))
        world.state.retries._stock = 0.0
        client = await world.answered(is_debugged=is_debugged)
        assert (client.status, client.error) == (502, "upstream_unreachable")
        assert (b"big-0" in client.got) == is_debugged
        assert world.books.outcomes[0].model is None and world.is_clean()


async def test_a_refusal_of_the_request_is_passed_on_and_costs_nothing():
    error = b'{"error":{"message":"no","type":"invalid_request_error","param":"n","code":null}}'
    world = World(Script((error,), status=400), backends=2)
    client = await world.answered()
    assert (client.status, client.got) == (400, error) and len(world.upstream.calls) == 1
    assert world.books.outcomes[0].reason is Reason.UPSTREAM_REFUSED and ("usd", 0) not in world.books.entries and world.is_clean()


@pytest.mark.parametrize(("status", "reason"), [(s, Reason.UPSTREAM_REFUSED) for s in (404, 413, 415, 422)])
async def test_only_a_closed_list_of_refusals_is_the_clients_fault(status: int, reason: Reason):
    error = b'{"error":{"message":"no","type":"x","param":null,"code":null}}'
    for seen, expected in ((status, reason), (409, Reason.UPSTREAM_ERROR), (451, Reason.UPSTREAM_ERROR)):
        world = World(Script((error,), status=seen))
        client = await world.answered()
        assert (client.status, client.got) == (seen, error)
        assert world.books.outcomes[0].reason is expected and ("usd", 0) not in world.books.entries and world.is_clean()


async def test_a_cancel_while_the_client_is_still_there_is_a_shutdown_and_it_is_told():
    world, client = World(stream(WORD, 5.0)), Client()
    task = asyncio.ensure_future(world.ask(client, stream=True))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert b'"code":"shutting_down"' in client.got and client.is_whole and world.is_clean()
    assert world.books.outcomes[0].reason is Reason.SHUTTING_DOWN


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b'{"error":{"code":429}}', 429),
        (b'{"error":{"code":"503","message":"x"}}', 503),
        (b'{"error":{"code":"rate_limited"}}', None),
        (b'{"error":{"code":200}}', None),
        (b'{"error":{}}', None),
        (b'{"error":"text"}', None),
        (b"", None),
    ],
)
def test_the_status_that_an_error_names(data, status):
    assert status_in(data) == status
