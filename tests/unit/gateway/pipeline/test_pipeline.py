"""The story of one request with the real core: scored, decided, waiting its turn, booked."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from gateway.core.dispatcher import Dispatcher
from gateway.core.tenants.limits import Draw
from gateway.core.tenants.vault import Vault
from gateway.domain.catalog import Backend, Limits, Tenant
from gateway.domain.decision import Shed
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import Endpoint, Talk
from gateway.edges.scoring.scorer import ArtifactScorer
from gateway.edges.scoring.share import ShareScorer
from gateway.pipeline.pipeline import Pipeline
from gateway.ports import Call
from gateway.wire.request import Decoded, decode
from router_models.artifact import builtin
from tests.unit.gateway.pipeline.world import BODY, Answer, Client, Runtime, Script, Upstream, World


class Desk:
    """The store's side of limits: grants, refuses, or takes its time."""

    def __init__(self, world: World, refusal: Shed | None = None, waits_s: float = 0.0) -> None:
        self.world, self.refusal, self.waits_s, self.fetched = world, refusal, waits_s, 0
        world.state.limits.share_with_others()

    async def fetch(self, draw: Draw) -> Shed | None:
        self.fetched += 1
        now_s, wall_s = self.world.clock.now_s(), self.world.clock.wall_s()
        asks = [lease.ask(now_s, units, units) for lease, units in draw.lacking]
        heard = [(need[0], a, Vault("v").answer(a, "me", now_s, 0)) for need, a in zip(draw.lacking, asks, strict=True)]
        if self.refusal is None:
            self.world.state.limits.hear(heard, now_s, now_s, wall_s)
            assert self.world.state.limits.take(draw, now_s, wall_s, was_asked=True) is None
        await asyncio.sleep(self.waits_s)
        return self.refusal


def limited(world: World, **how: Any) -> Desk:
    """Give the tenant a limit, and its units a desk."""
    world.catalog = replace(world.catalog, tenants={"t": Tenant("t", (), "standard", Limits(rpm=60))})
    world.dispatcher = Dispatcher(world.catalog, (), {}, world.state)
    desk = Desk(world, **how)
    world.pipeline = Pipeline(world.clock, world.upstream, world.books, world.books, world.books, desk)
    return desk


async def test_a_limited_tenants_request_fetches_its_unit_and_is_told_how_the_limit_stands():
    theirs = ("x-ratelimit-remaining-requests", "999")
    world = World(Script(headers=(("content-type", "application/json"), theirs)))
    desk = limited(world)
    client = await world.answered()
    assert (client.status, desk.fetched) == (200, 1) and world.is_clean()
    told = {name: text for name, text in client.headers.items() if name.startswith("x-ratelimit")}
    reset = told.pop("x-ratelimit-reset-requests")
    assert told == {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}
    assert reset == "1s" or (reset.endswith("ms") and int(reset[:-2]) > 900)


async def test_nobody_else_fetches_anything_or_loses_a_backends_own_limits():
    world = World(Script(headers=(("content-type", "application/json"), ("x-ratelimit-remaining-requests", "999"))))
    desk = Desk(world)
    world.pipeline = Pipeline(world.clock, world.upstream, world.books, world.books, world.books, desk)
    client = await world.answered()
    assert desk.fetched == 0 and client.headers["x-ratelimit-remaining-requests"] == "999"


async def test_what_the_store_refuses_is_told_counted_once_and_sent_nowhere():
    world = World(Script())
    limited(world, refusal=Shed(Reason.LIMIT_REQUESTS, "used up", 7.0))
    client = await world.answered()
    assert (client.status, client.error, client.headers["retry-after"]) == (429, "limit_requests", "7")
    assert "x-ratelimit-limit-requests" in client.headers and not world.upstream.calls
    assert [o.reason for o in world.books.outcomes] == [Reason.LIMIT_REQUESTS] and world.is_clean()


async def test_a_client_that_leaves_while_units_are_fetched_is_counted_as_gone():
    world = World(Script())
    limited(world, waits_s=5.0)
    client = Client()
    asking = asyncio.ensure_future(world.ask(client))
    await asyncio.sleep(0.01)
    client.is_gone = True
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert [o.reason for o in world.books.outcomes] == [Reason.CLIENT_CANCELLED] and world.is_clean()


async def test_who_waits_in_the_schedule_is_woken_by_room_and_only_one_at_a_time():
    world = World(Script(head_s=0.1), hosted=False, room=100)
    clients = [Client() for _ in range(3)]
    tasks = [asyncio.ensure_future(world.ask(c, tokens=80)) for c in clients]
    await asyncio.sleep(0.02)
    assert len(world.upstream.calls) == 1 and world.dispatcher.waiting == 2
    await asyncio.gather(*tasks)
    assert [c.status for c in clients] == [200, 200, 200] and world.is_clean()
    assert len(world.upstream.calls) == 3 and not world.pipeline._waiting
    assert world.books.overheads[-1] < 0.05, "time in the queue is not our own time"


async def test_who_waits_longer_than_its_class_is_refused_by_the_sweep():
    world = World(Script(head_s=3.0), hosted=False, room=100)
    first, second = Client(), Client()
    running = asyncio.ensure_future(world.ask(first, tokens=80))
    waiting = asyncio.ensure_future(world.ask(second, tokens=80))
    await asyncio.sleep(0.02)
    assert world.dispatcher.waiting == 1
    world.pipeline.sweep(world.dispatcher, world.clock.now_s() + 60)
    await asyncio.wait_for(waiting, 1)
    assert second.status == 503 and second.error.startswith("shed_") and "retry-after" in second.headers
    assert second.headers["x-should-retry"] == "false"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.is_clean() and len(world.books.outcomes) == 2


async def test_a_refused_decision_is_booked_and_told():
    world = World(Script())
    client = await world.answered(tokens=200_000)
    assert (client.status, client.error) == (400, "context_length_exceeded") and not world.upstream.calls
    assert world.books.outcomes[0].attempts == 0 and ("end.context_length_exceeded", 1) in world.books.entries


async def test_a_bug_is_an_internal_error_and_not_a_leak(caplog):
    class Broken(Upstream):
        async def send(self, backend: Backend, call: Call) -> Answer:
            raise ZeroDivisionError("secret prompt")

    world = World(Script())
    world.pipeline.upstream = Broken(Script())
    client = await world.answered()
    assert (client.status, client.error) == (500, "internal_error") and b"secret" not in client.got
    assert world.books.outcomes[0].reason is Reason.INTERNAL and world.is_clean()
    assert "req_1" in caplog.text


async def test_what_never_became_a_request_is_counted_and_told():
    world, client = World(Script()), Client()
    await world.pipeline.refuse(Runtime(world), GatewayError(Reason.UNKNOWN_MODEL, "no such model", "model"), "req_9", client, "mine")
    assert (client.status, client.headers["x-request-id"], client.headers["x-client-request-id"]) == (404, "req_9", "mine")
    assert world.books.away == [Reason.UNKNOWN_MODEL] and world.books.entries == [("end.model_not_found", 1)]


class Fixed:
    """A scorer that writes down what it was asked."""

    name, is_fallback = "s", False

    def __init__(self, reads_talk: bool = False) -> None:
        self.reads_talk = reads_talk
        self.asked: list[list[tuple[str, Talk | None]]] = []

    def qualities(self, prompt: str, talk: Talk | None = None) -> tuple[float, ...]:
        return (0.9, 0.4)

    def many(self, prompts: Sequence[str], talks: Sequence[Talk | None]) -> Sequence[tuple[float, ...]]:
        self.asked.append(list(zip(prompts, talks, strict=True)))
        return [(0.9 - 0.1 * i, 0.4) for i in range(len(prompts))]


def chat(**around: Any) -> Decoded:
    return decode(Endpoint.CHAT, json.dumps({"model": "auto", **around}).encode())


def test_candidates_are_scored_by_their_route_or_by_one_that_knows_them_all():
    world = World(Script(), models=2)
    runtime, decoded, facts = Runtime(world), decode(Endpoint.CHAT, BODY % b""), world.facts()
    assert world.pipeline.scored(runtime, [(facts, decoded)]) == [None], "no router for this route"
    world.scorers["auto"] = Fixed()
    assert world.pipeline.scored(runtime, [(facts, decoded)]) == [(0.9, 0.4)]
    turned = structs.replace(facts, route="small", candidates=tuple(reversed(facts.candidates)))
    assert world.pipeline.scored(runtime, [(turned, decoded)]) == [(0.4, 0.9)]
    alone = structs.replace(facts, candidates=facts.candidates[:1])
    assert world.pipeline.scored(runtime, [(alone, decoded)]) == [None]


def test_requests_that_came_together_are_scored_together_each_in_its_place():
    world = World(Script(), models=2)
    runtime, facts, scorer = Runtime(world), world.facts(), Fixed()
    world.scorers["auto"] = scorer
    alone = structs.replace(facts, candidates=facts.candidates[:1])
    turned = structs.replace(facts, route="small", candidates=tuple(reversed(facts.candidates)))
    first, second, third = (chat(messages=[{"role": "user", "content": text}]) for text in ("a", "b", "c"))
    assert world.pipeline.scored(runtime, [(facts, first), (alone, second), (turned, third)]) == [(0.9, 0.4), None, (0.4, 0.8)]
    assert scorer.asked == [[("a", None), ("c", None)]]
    assert world.pipeline.scored(runtime, []) == []


def test_a_scorer_that_reads_conversations_is_told_what_surrounds_the_question():
    world, scorer = World(Script(), models=2), Fixed(reads_talk=True)
    world.scorers["auto"] = scorer
    said = [("system", "rule"), ("user", "how?"), ("assistant", "!"), ("user", "why?")]
    decoded = chat(max_tokens=9, tools=[{}], messages=[{"role": r, "content": c} for r, c in said])
    world.pipeline.scored(Runtime(world), [(world.facts(), decoded)])
    assert scorer.asked == [[("why?", Talk(turns=2, context_characters=5, system_characters=4, has_tools=True, tokens_max=9))]]


def test_the_builtin_router_answers_a_conversation_by_its_newest_question_alone():
    scorer = ArtifactScorer("builtin", builtin().router, ShareScorer(0.3, 2, ""))
    world = World(Script(), models=2)
    world.scorers["auto"] = scorer

    def asked(**around: Any) -> Any:
        return world.pipeline.scored(Runtime(world), [(world.facts(), chat(**around))])

    assert not scorer.reads_talk
    question = {"role": "user", "content": "Which bone is the longest?\nA. femur\nB. tibia\nC. ulna\nD. rib\nAnswer:"}
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    long = {"role": "system", "content": "def f(xs):\n    return sorted(xs)\n" * 400}
    alone = asked(messages=[question])
    for around in (
        {"messages": [long, question]},
        {"messages": [long, {"role": "user", "content": "hello"}, {"role": "assistant", "content": "x" * 9000}, question]},
        {"messages": [question, {"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "[1, 2]" * 99}]},
        {"messages": [question, image]},
        {"messages": [question], "tools": [{"type": "function"}], "max_tokens": 1},
    ):
        assert asked(**around) == alone
    # No text at all is a defined question as well: that of the empty prompt.
    assert asked(messages=[image]) == [scorer.qualities("")]
