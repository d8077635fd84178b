"""Answers that come in one piece."""

import json

import pytest

from gateway.domain.errors import Reason
from gateway.pipeline.whole import WHOLE_BYTES_MAX
from gateway.ports import UpstreamFailure
from tests.unit.gateway.pipeline.world import ANSWER, DONE, ERROR, ROLE, STOP, WORD, Client, Script, World, stream


async def test_a_whole_answer_is_passed_on_and_booked():
    world = World(Script())
    client = await world.answered()
    assert (client.status, client.got, client.is_whole) == (200, ANSWER, True)
    assert client.headers["x-sluice-model"] == "big" and client.headers["x-sluice-attempts"] == "1"
    outcome = world.books.outcomes[0]
    assert (outcome.reason, outcome.prompt_tokens, outcome.completion_tokens, outcome.ttft_s) == (Reason.SERVED, 9, 2, None)
    backend, call = world.upstream.calls[0]
    assert call.path == "/chat/completions" and b'"real-big"' in call.body and ("x-own", "1") in call.headers and backend.id == "big-0"
    assert world.is_clean() and 0 < world.books.overheads[0] < 0.1


async def test_the_books_are_closed_before_a_whole_answer_is_written():
    world = World(Script())

    class Slow(Client):
        async def write(self, data: bytes) -> None:
            assert world.books.outcomes and world.state.reserved_usd == 0
            await super().write(data)

    await world.ask(Slow())


async def test_a_huge_answer_is_not_held():
    world = World(Script((b'{"a":"', b"x" * WHOLE_BYTES_MAX, b"y" * 10, b'"}')))
    client = await world.answered()
    assert len(client.got) == WHOLE_BYTES_MAX + 18 and client.is_whole and "content-length" not in client.headers
    world = World(Script((b'{"a":"', b"x" * WHOLE_BYTES_MAX, UpstreamFailure(Reason.UPSTREAM_CUT, "cut"))), backends=2)
    client = await world.answered()
    assert client.was_cut and not client.is_whole and len(world.upstream.calls) == 1 and world.is_clean()


async def test_a_stream_that_nobody_asked_for_becomes_one_answer():
    world = World(stream(ROLE, WORD[:20], WORD[20:] + WORD, STOP, DONE))
    client = await world.answered()
    (choice,) = json.loads(client.got)["choices"]
    assert choice["message"]["content"] == "word word " and choice["finish_reason"] == "stop"
    assert client.headers["content-type"] == "application/json" and client.is_whole and world.is_clean()


@pytest.mark.parametrize("script", [stream(WORD, ERROR), stream(WORD), stream(ROLE, DONE), Script((b"nonsense",)), Script((ERROR[6:-2],))])
async def test_what_is_no_whole_answer_is_another_attempt(script: Script):
    world = World(script, Script(), backends=2)
    client = await world.answered()
    assert client.got == ANSWER and client.headers["x-sluice-attempts"] == "2" and world.is_clean()
