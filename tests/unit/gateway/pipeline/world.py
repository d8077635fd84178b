"""A gateway without sockets: the real core, backends that follow a script, and a client that can leave."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from gateway.core.dispatcher import Dispatcher
from gateway.core.state import State
from gateway.domain.catalog import Backend, Catalog, Model, Route, Router, Tariff, TrafficClass
from gateway.domain.errors import Reason
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.edges.clock import SystemClock
from gateway.pipeline.pipeline import Pipeline
from gateway.ports import Call, ClientGone, UpstreamFailure
from gateway.wire.request import decode

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

    def ready(self) -> bytes | None:
        return None

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
