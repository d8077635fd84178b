"""One request on its way: settled once, with what was used, and looked at only where somebody asks."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.budget.slis.coherence import Coherence
from gateway.core.budget.slo import SloSpec, build
from gateway.core.dispatcher import Dispatcher
from gateway.domain.errors import Reason
from gateway.domain.event import Form
from gateway.ports import UpstreamFailure
from tests.unit.gateway.pipeline.world import ANSWER, DONE, ERROR, ROLE, STOP, WORD, Client, Script, World, fails, stream


async def test_the_form_of_an_answer_is_looked_at_where_somebody_asks():
    slos = build([SloSpec("coherence", "coherence", Coherence.Options(), 0.9, 86_400.0)])
    cut = ANSWER.replace(b'"stop"', b'"length"')
    for script, how, form in (
        (Script(), {}, Form.WHOLE),
        (Script((cut,)), {}, Form.CUT),
        (stream(WORD, STOP, DONE), {"stream": True}, Form.WHOLE),
        (stream(ROLE, STOP, DONE), {"stream": True}, Form.EMPTY),
        (stream(WORD, STOP.replace(b'"stop"', b'"length"'), DONE), {"stream": True}, Form.CUT),
    ):
        world = World(script)
        await world.answered(**how)
        assert world.books.outcomes[0].form is None
        world = World(script)
        world.dispatcher = Dispatcher(world.catalog, slos, {}, world.state)
        await world.answered(**how)
        assert world.books.outcomes[0].form is form, script


async def test_without_such_an_slo_nobody_watches():
    world = World(stream(WORD, STOP, DONE))
    await world.answered(stream=True)
    assert world.books.outcomes[0].timelines == () and world.books.outcomes[0].stall_s == 0.0


@pytest.mark.parametrize("script", [Script((5.0, ANSWER)), stream(5.0), stream(WORD, 5.0), stream(ROLE, 5.0)])
async def test_a_cancelled_request_is_settled_once_with_what_was_used(script):
    world, client = World(script), Client()
    task = asyncio.ensure_future(world.ask(client, stream=script.headers[0][1] == "text/event-stream"))
    await asyncio.sleep(0.02)
    client.is_gone = True
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    outcome = world.books.outcomes[0]
    assert outcome.reason is Reason.CLIENT_CANCELLED and outcome.model == "big" and outcome.prompt_tokens == 10 and outcome.is_estimated
    assert outcome.before_deadline and world.is_clean() and client.was_cut


STEP = st.sampled_from(
    [
        Script(),
        Script((b"{}",), status=400),
        Script((b"nonsense",)),
        Script((UpstreamFailure(Reason.UPSTREAM_CUT, "cut"),)),
        fails(),
        fails(Reason.UPSTREAM_AUTH, status=401),
        fails(Reason.UPSTREAM_TIMEOUT_TTFT),
        fails(Reason.UPSTREAM_RATE_LIMITED, retry_after_s=0.001, status=429, body=b"{}"),
        stream(WORD, STOP, DONE),
        stream(ROLE, ERROR),
        stream(WORD, ERROR, DONE),
        stream(DONE),
        stream(),
        stream(WORD, UpstreamFailure(Reason.UPSTREAM_CUT, "cut")),
        stream(ROLE, UpstreamFailure(Reason.UPSTREAM_TIMEOUT_IDLE, "idle")),
        stream(ROLE, 0.02, WORD, STOP, DONE),
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    scripts=st.lists(STEP, min_size=1, max_size=4),
    is_streaming=st.booleans(),
    backends=st.integers(1, 3),
    leaves=st.none() | st.floats(0, 0.03),
)
def test_whatever_happens_a_request_is_settled_once_and_nothing_stays_reserved(scripts, is_streaming, backends, leaves):
    async def story() -> None:
        world, client = World(*scripts, backends=backends, models=2), Client()
        task = asyncio.ensure_future(world.ask(client, stream=is_streaming))
        if leaves is not None:
            await asyncio.sleep(leaves)
            client.is_gone = not task.done()
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        assert len(world.books.outcomes) == 1 and world.is_clean()
        if not client.is_gone:
            assert client.is_whole
            if world.books.outcomes[0].reason is not Reason.SERVED:
                assert b"[DONE]" not in client.got

    asyncio.run(story())
