"""The story of one request with the real core, backends that follow a script, and a client that can leave."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.budget.slis.coherence import Coherence
from gateway.core.budget.slis.itl import Itl
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slo import SloSpec, build
from gateway.core.dispatcher import Dispatcher
from gateway.core.state import State
from gateway.core.tenants.limits import Draw
from gateway.core.tenants.vault import Vault
from gateway.domain.catalog import Backend, Catalog, Limits, Model, Route, Router, Tariff, Tenant, TrafficClass
from gateway.domain.decision import Shed
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.event import Form
from gateway.domain.facts import Endpoint, RequestFacts, Talk
from gateway.edges.clock import SystemClock
from gateway.edges.scoring.scorer import ArtifactScorer
from gateway.edges.scoring.share import ShareScorer
from gateway.pipeline import WHOLE_BYTES_MAX, Pipeline, is_encoded, status_in
from gateway.ports import Call, ClientGone, UpstreamFailure
from gateway.wire.meter import Meter
from gateway.wire.request import Decoded, decode
from router_models.artifact import builtin

STANDARD = TrafficClass("standard", 1.0, 5.0, 0)
BODY = b'{"model":"auto","messages":[{"role":"user","content":"tell me about it, please"}]%b}'
ANSWER = b'{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}'
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"boom","type":"server_error","param":null,"code":null}}\n\n'


@dataclass
class Client:
    """Notes what it gets; leaves when told to."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    got: bytes = b""
    is_whole: bool = False
    is_gone: bool = False
    was_cut: bool = False

    async def start(self, status: int, headers: Any, length: int | None) -> None:
        assert self.status is None, "one head"
        self.status, self.headers = status, {k.lower(): v for k, v in headers}

    async def write(self, data: bytes) -> None:
        assert self.status is not None and not self.is_whole
        if self.is_gone:
            raise ClientGone
        self.got += data

    async def finish(self) -> None:
        assert not self.is_whole, "one end"
        self.is_whole = True

    def abort(self) -> None:
        self.was_cut = True

    @property
    def error(self) -> str:
        return str(json.loads(self.got)["error"]["code"])


@dataclass
class Script:
    """What a backend does with one request: fail at once, or a head and chunks, the last of which may be a failure."""

    chunks: tuple[Any, ...] = (ANSWER,)
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    failure: UpstreamFailure | None = None
    head_s: float = 0.0


class Answer:
    """A scripted answer."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.status, self.headers = script.status, script.headers
        self.is_stream = any("event-stream" in text for _, text in script.headers)
        self.has_begun = self.is_closed = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.script.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            if isinstance(chunk, float):
                await asyncio.sleep(chunk)
                continue
            yield chunk

    def content_began(self) -> None:
        self.has_begun = True

    def close(self) -> None:
        self.is_closed = True


class Upstream:
    """Backends that follow scripts, in the order of requests."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.calls: list[tuple[Backend, Call]] = []
        self.answers: list[Answer] = []

    async def send(self, backend: Backend, call: Call) -> Answer:
        self.calls.append((backend, call))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        await asyncio.sleep(script.head_s)
        if script.failure is not None:
            raise script.failure
        self.answers.append(Answer(script))
        return self.answers[-1]


class Books:
    """Recorder, log and observer."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int]] = []
        self.records: list[tuple[Any, ...]] = []
        self.outcomes: list[Any] = []
        self.overheads: list[float] = []
        self.agains: list[bool] = []
        self.away: list[Reason] = []

    def book(self, entries: Any, wall_s: float) -> None:
        self.entries += entries

    def write(self, record: tuple[Any, ...]) -> None:
        self.records.append(record)

    def ended(self, facts: Any, placed: Any, outcome: Any, usd: float, overhead_s: float) -> None:
        self.outcomes.append(outcome)
        self.overheads.append(overhead_s)

    def turned_away(self, reason: Reason) -> None:
        self.away.append(reason)

    def again(self, model: str, is_retry: bool) -> None:
        self.agains.append(is_retry)


@dataclass
class Patience:
    """Clocks."""

    ttft_timeout: float = 5.0
    total_timeout: float = 10.0


class World:
    """One gateway without sockets."""

    def __init__(self, *scripts: Script, backends: int = 1, models: int = 1, hosted: bool = True, room: int = 4096) -> None:
        names = ("big", "small")[:models]
        made = {
            name: Model(
                name,
                Tariff(1.0, 2.0),
                100_000,
                tuple(
                    Backend(f"{name}-{i}", f"http://{name}-{i}/v1", f"real-{name}", is_self_hosted=not hosted, pending_tokens_max=room)
                    for i in range(backends)
                ),
            )
            for name in names
        }
        self.catalog = Catalog(made, {"auto": Route("auto", names, Router("builtin", 0.5))}, {"standard": STANDARD}, {}, None)
        self.state, self.clock, self.books, self.upstream = State(), SystemClock(), Books(), Upstream(*scripts)
        self.dispatcher = Dispatcher(self.catalog, (), {}, self.state)
        self.scorers: dict[str, Any] = {}
        self.patience = Patience()
        self.pipeline = Pipeline(self.clock, self.upstream, self.books, self.books, self.books)

    def facts(self, stream: bool = False, tokens: int = 10) -> RequestFacts:
        models = tuple(self.catalog.models.values())
        return RequestFacts(
            "req_1", Endpoint.CHAT, "t", STANDARD, "auto", models, tokens, None, stream, self.clock.now_s(), (0.5, 0.5), prompt_bytes=40
        )

    async def ask(self, client: Client, stream: bool = False, tokens: int = 10, is_debugged: bool = False, more: bytes = b"") -> None:
        runtime = Runtime(self)
        decoded = decode(Endpoint.CHAT, BODY % ((b',"stream":true' if stream else b"") + more))
        facts = self.facts(stream, tokens)
        (qualities,) = self.pipeline.scored(runtime, [(facts, decoded)])
        await self.pipeline.answer(runtime, facts, decoded, qualities, [("x-own", "1")], client, is_debugged=is_debugged)

    async def answered(self, **how: Any) -> Client:
        client = Client()
        await self.ask(client, **how)
        return client

    def is_clean(self) -> bool:
        """Nothing is reserved, every answer is closed, every request is booked once."""
        loads = [
            self.state.placement.account(b.id, m.name).load.pending_tokens(self.clock.now_s())
            for m in self.catalog.models.values()
            for b in m.backends
        ]
        return (
            abs(self.state.reserved_usd) < 1e-9
            and not any(loads)
            and all(a.is_closed for a in self.upstream.answers)
            and len(self.books.outcomes) == len(self.books.records)
            and not self.dispatcher.waiting
        )


class Configured:
    """The configuration's part."""

    def __init__(self, upstream: Patience) -> None:
        self.upstream = upstream


class Runtime:
    """One config version."""

    def __init__(self, world: World) -> None:
        self.config, self.catalog = Configured(world.patience), world.catalog
        self.dispatcher, self.scorers = world.dispatcher, world.scorers


def fails(reason: Reason = Reason.UPSTREAM_ERROR, **more: Any) -> Script:
    return Script(failure=UpstreamFailure(reason, "backend big-0: no", **more))


def stream(*chunks: Any) -> Script:
    return Script(chunks, headers=(("content-type", "text/event-stream"),))


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


class Stepped(SystemClock):
    """Stands still until told."""

    at_s = 1000.0

    def now_s(self) -> float:
        return self.at_s


def paced(world: World, *chunks: tuple[float, bytes]) -> Script:
    """Return a stream whose chunks come at these seconds on the world's clock."""
    clock = world.clock = world.pipeline.clock = Stepped()
    begun_s = clock.at_s

    def coming() -> Any:
        for at_s, chunk in chunks:
            clock.at_s = begun_s + at_s
            yield chunk

    return Script(coming(), headers=(("content-type", "text/event-stream"),))  # type: ignore[arg-type]


async def test_a_stream_is_held_against_the_pace_that_was_promised():
    slos = build([SloSpec("pace", "itl", Itl.Options(1.0, 10.0, 2.0), 0.9, 86_400.0)])
    for second_s, qoe_min, verdict in ((1.2, 0.98, 1), (6.0, 0.0, 0)):
        world = World()
        world.dispatcher = Dispatcher(world.catalog, slos, {}, world.state)
        world.upstream.scripts = [paced(world, (0.5, ROLE), (0.9, WORD), (second_s, WORD), (second_s + 0.1, STOP + DONE))]
        await world.answered(stream=True)
        (outcome,) = world.books.outcomes
        (kept,) = outcome.timelines
        assert outcome.reason is Reason.SERVED and kept.qoe >= qoe_min and outcome.stall_s == pytest.approx(second_s - 0.9)
        assert ((slos[0].bad_field, 1) in world.books.entries) == (not verdict) and (slos[0].valid_field, 1) in world.books.entries
    assert world.state.misses.expect("big", "auto") > 0.04


async def test_a_client_that_reads_slowly_spoils_no_pace():
    world = World()
    slos = build([SloSpec("pace", "itl", Itl.Options(1.0, 10.0, 2.0), 0.9, 86_400.0)])
    world.dispatcher = Dispatcher(world.catalog, slos, {}, world.state)
    world.upstream.scripts = [paced(world, (0.9, WORD), (61.0, WORD), (61.1, WORD + STOP + DONE))]

    class Slow(Client):
        async def write(self, data: bytes) -> None:
            await super().write(data)
            if self.got.count(b"word") == 1:
                world.clock.at_s += 60.0  # type: ignore[attr-defined]

    await world.ask(Slow(), stream=True)
    (outcome,) = world.books.outcomes
    assert outcome.stall_s == pytest.approx(0.1) and outcome.timelines[0].qoe > 0.99


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


JSON = b',"response_format":{"type":"json_object"}'
VALID = build([SloSpec("valid", "quality", Quality.Options("validity"), 0.9, 86_400.0)])


def of_json(*texts: str, finish: bytes = b"stop") -> bytes:
    events = [b'data: {"choices":[{"index":0,"delta":{"content":%b},"finish_reason":null}]}\n\n' % json.dumps(t).encode() for t in texts]
    return ROLE + b"".join(events) + STOP.replace(b"stop", finish) + DONE


@pytest.mark.parametrize(
    ("sent", "more", "form"),
    [
        (of_json('{"a"', ":[1,", '"\u00e9 \\n"]}'), JSON, Form.WHOLE),
        (of_json("Sure! ", "{}"), JSON, Form.NOT_JSON),
        (of_json("Sure! ", "{}"), b',"response_format":{"type":"text"}', Form.WHOLE),
        (of_json("Sure! ", "{}"), b"", Form.WHOLE),
        (of_json('{"a"', finish=b"length"), JSON, Form.CUT),
    ],
)
async def test_a_stream_that_was_asked_for_json_is_judged_however_it_is_cut(sent: bytes, more: bytes, form: Form):
    cuts = [(at,) for at in range(len(sent))] + [(at, at + 40, at + 41) for at in range(0, len(sent), 7)] + [tuple(range(len(sent)))]
    for cut in cuts:
        ends = sorted({0, *cut, len(sent)})
        world = World(stream(*[sent[a:b] for a, b in pairwise(ends) if a < b <= len(sent)]))
        world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
        client = await world.answered(stream=True, more=more)
        assert client.got == sent and client.is_whole and world.is_clean()
        assert world.books.outcomes[0].form is form, cut


async def test_only_a_stream_that_somebody_asks_about_is_written_down(monkeypatch: pytest.MonkeyPatch):
    made: list[int] = []
    monkeypatch.setattr("gateway.pipeline.Transcript", lambda: made.append(1) or Meter())
    for promised, more, times in ((VALID, JSON, 1), ((), JSON, 0), (VALID, b"", 0)):
        world = World(stream(WORD, WORD, STOP, DONE))
        world.dispatcher = Dispatcher(world.catalog, promised, {}, world.state)
        await world.answered(stream=True, more=more)
        assert len(made) == times
        made.clear()


@pytest.mark.parametrize("ends", [b"", UpstreamFailure(Reason.UPSTREAM_CUT, "cut"), ERROR])
async def test_a_stream_of_json_that_was_not_served_has_no_form(ends: Any):
    world = World(stream(WORD, ends))
    world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
    await world.answered(stream=True, more=JSON)
    assert world.books.outcomes[0].reason is not Reason.SERVED and world.books.outcomes[0].form is None


async def test_a_client_that_leaves_in_the_middle_of_its_json_says_nothing_of_its_form():
    class Leaving(Client):
        async def write(self, data: bytes) -> None:
            await super().write(data)
            self.is_gone = True

    world = World(stream(WORD, WORD, STOP, DONE))
    world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
    await world.ask(Leaving(), stream=True, more=JSON)
    assert [(o.reason, o.form) for o in world.books.outcomes] == [(Reason.CLIENT_CANCELLED, None)] and world.is_clean()


async def test_what_a_failed_attempt_said_is_no_part_of_the_answer():
    world = World(stream(WORD + ERROR), stream(of_json("{}")), backends=2)
    world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
    client = await world.answered(stream=True, more=JSON)
    assert client.headers["x-sluice-attempts"] == "2" and world.books.outcomes[0].form is Form.WHOLE


async def test_without_such_an_slo_nobody_watches():
    world = World(stream(WORD, STOP, DONE))
    await world.answered(stream=True)
    assert world.books.outcomes[0].timelines == () and world.books.outcomes[0].stall_s == 0.0


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


async def test_the_books_are_closed_before_a_whole_answer_is_written():
    world = World(Script())

    class Slow(Client):
        async def write(self, data: bytes) -> None:
            assert world.books.outcomes and world.state.reserved_usd == 0
            await super().write(data)

    await world.ask(Slow())


async def test_a_failed_attempt_goes_to_another_backend_and_a_client_sees_one_answer():
    world = World(fails(), Script(), backends=2)
    client = await world.answered()
    assert (client.status, client.headers["x-sluice-attempts"]) == (200, "2")
    assert len({backend.id for backend, _ in world.upstream.calls}) == 2 and world.books.agains == [False]
    assert [o.reason for o in world.books.outcomes] == [Reason.SERVED] and world.is_clean()


async def test_the_last_failure_is_told_without_the_backends_name_but_to_who_may_debug():
    for is_debugged in (False, True):
        world = World(fails(Reason.UPSTREAM_UNREACHABLE))
        world.state.retries._stock = 0.0
        client = await world.answered(is_debugged=is_debugged)
        assert (client.status, client.error) == (502, "upstream_unreachable")
        assert (b"big-0" in client.got) == is_debugged
        assert world.books.outcomes[0].model is None and world.is_clean()


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


async def test_a_stream_is_held_until_content_and_then_passed_on():
    world = World(stream(b": hi\n\n", ROLE, WORD[:10], WORD[10:] + WORD, STOP, DONE))
    client = await world.answered(stream=True)
    assert client.got == b": hi\n\n" + ROLE + WORD + WORD + STOP + DONE and client.is_whole
    assert world.upstream.answers[0].has_begun and world.books.outcomes[0].ttft_s is not None


async def test_an_error_before_content_is_another_attempt_even_after_a_role():
    world = World(stream(ROLE, ERROR), stream(WORD, STOP, DONE), backends=2)
    client = await world.answered(stream=True)
    assert client.got == WORD + STOP + DONE and client.headers["x-sluice-attempts"] == "2"
    assert world.is_clean()


async def test_a_head_of_a_failed_attempt_is_not_the_first_token_of_the_next():
    world = World(Script((b"{", UpstreamFailure(Reason.UPSTREAM_CUT, "cut"))), stream(ROLE, ERROR), stream(WORD, STOP, DONE), backends=3)
    client = await world.answered(stream=True)
    assert client.got == WORD + STOP + DONE and client.headers["x-sluice-attempts"] == "3" and world.is_clean()


async def test_an_error_in_the_same_read_as_the_first_content_is_still_another_attempt():
    world = World(stream(WORD + ERROR), stream(WORD, STOP, DONE), backends=2)
    client = await world.answered(stream=True)
    assert client.got == WORD + STOP + DONE and world.is_clean()


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (UpstreamFailure(Reason.UPSTREAM_CUT, "cut"), "upstream_cut"),
        (UpstreamFailure(Reason.UPSTREAM_TIMEOUT_IDLE, "idle"), "upstream_timeout_idle"),
        (b"", "upstream_cut"),
        (b"data: " + b"x" * 5_000_000, "upstream_bad_answer"),
    ],
)
async def test_a_failure_after_content_ends_with_an_error_event_and_no_other_attempt(last, code):
    world = World(stream(WORD, WORD, last), backends=2)
    client = await world.answered(stream=True)
    assert client.got.startswith(WORD + WORD) and client.is_whole and b"[DONE]" not in client.got
    error = json.loads(client.got.removeprefix(WORD + WORD).removeprefix(b"data: "))["error"]
    assert error["code"] == code and len(world.upstream.calls) == 1
    outcome = world.books.outcomes[0]
    assert outcome.reason.value == code and outcome.is_estimated and outcome.completion_tokens > 0 and world.is_clean()


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


async def test_a_huge_answer_is_not_held():
    world = World(Script((b'{"a":"', b"x" * WHOLE_BYTES_MAX, b"y" * 10, b'"}')))
    client = await world.answered()
    assert len(client.got) == WHOLE_BYTES_MAX + 18 and client.is_whole and "content-length" not in client.headers
    world = World(Script((b'{"a":"', b"x" * WHOLE_BYTES_MAX, UpstreamFailure(Reason.UPSTREAM_CUT, "cut"))), backends=2)
    client = await world.answered()
    assert client.was_cut and not client.is_whole and len(world.upstream.calls) == 1 and world.is_clean()


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


async def test_a_cancel_while_the_client_is_still_there_is_a_shutdown_and_it_is_told():
    world, client = World(stream(WORD, 5.0)), Client()
    task = asyncio.ensure_future(world.ask(client, stream=True))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert b'"code":"shutting_down"' in client.got and client.is_whole and world.is_clean()
    assert world.books.outcomes[0].reason is Reason.SHUTTING_DOWN


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


def test_identity_is_no_encoding():
    assert is_encoded([("Content-Encoding", "gzip")]) and not is_encoded([("content-encoding", "identity")]) and not is_encoded([])


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
