"""A whole gateway in this process on a real port, and backends whose every byte the test decides."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.assemble import build
from gateway.config.load import load
from gateway.core.routing.record import as_line
from gateway.core.state import State
from gateway.domain.event import Entry, Outcome
from gateway.edges.chance import SystemChance
from gateway.edges.clock import SystemClock
from gateway.edges.outbox import TurnOutbox
from gateway.edges.scoring.scorer import Scoring
from gateway.edges.server.app import DataPort
from gateway.edges.upstream.pool import AiohttpUpstream
from gateway.pipeline.pipeline import Pipeline
from gateway.runtime import Runtime

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello there"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13},
}


@dataclass
class Seen:
    """One request as a backend got it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name), None)


@dataclass
class Wire:
    """One connection of a backend, for its script."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def json(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}"]
        lines += [f"{k}: {v}" for k, v in headers]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def sse_head(self, *headers: tuple[str, str]) -> None:
        lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream", "transfer-encoding: chunked", *[f"{k}: {v}" for k, v in headers]]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")


Script = Callable[[Wire, Seen], Awaitable[bool | None]]
"""Answers one request; returns False to close the connection."""


async def answers(wire: Wire, _seen: Seen) -> None:
    """The usual answer."""
    await wire.json(200, json.dumps(ANSWER).encode())


class Backend:
    """A raw HTTP server."""

    def __init__(self) -> None:
        self.script: Script = answers
        self.seen: list[Seen] = []
        self.gone_s: list[float] = []
        """Loop times at which a client closed a connection."""
        self.connections = 0
        self.gone = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        wire = Wire(reader, writer, self.connections)
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
                headers = [(k, v.strip()) for k, _, v in (line.partition(":") for line in lines)]
                length = next((int(v) for k, v in headers if k.lower() == "content-length"), 0)
                seen = Seen(first, headers, await reader.readexactly(length))
                self.seen.append(seen)
                if await self.script(wire, seen) is False:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone_s.append(asyncio.get_running_loop().time())
            self.gone.set()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


async def until_gone(wire: Wire) -> None:
    """Wait until the other side has closed."""
    await wire.reader.read(1)
    raise ConnectionError


@dataclass
class Books:
    """Recorder, decision log and observer of a test."""

    entries: list[Entry] = field(default_factory=list)
    records: list[tuple[Any, ...]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    usd: list[float] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    agains: list[tuple[str, bool]] = field(default_factory=list)

    def book(self, entries: Sequence[Entry], wall_s: float) -> None:
        self.entries += entries

    def write(self, record: tuple[Any, ...]) -> None:
        self.records.append(record)

    def ended(self, facts: Any, placed: Any, outcome: Outcome, usd: float, overhead_s: float) -> None:
        self.outcomes.append(outcome)
        self.usd.append(usd)

    def turned_away(self, reason: Any) -> None:
        self.away.append(reason.value)

    def again(self, model: str, is_retry: bool) -> None:
        self.agains.append((model, is_retry))

    def total(self, name: str) -> int:
        return sum(n for field_name, n in self.entries if field_name == name)

    def line(self, at: int = -1) -> dict[str, Any]:
        return as_line(self.records[at])


class Gateway:
    """Everything that one process has, but for store and upkeep."""

    def __init__(self, yaml: str) -> None:
        self.clock, self.chance, self.state, self.books = SystemClock(), SystemChance(b"test"), State(), Books()
        self.config = load("gateway.yaml", {"KEY": "backend-secret"}, yaml.encode())
        self.runtime: Runtime | None = build(self.config, self.state, Scoring(), 1)
        outbox = TurnOutbox()
        self.upstream = AiohttpUpstream(self.config.upstream, self.clock, outbox)
        self.pipeline = Pipeline(self.clock, self.upstream, self.books, self.books, self.books)
        self.port = DataPort(self.config.server, self.clock, self.chance, self.pipeline, lambda: self.runtime, outbox)
        self.at = 0

    async def start(self) -> None:
        self.at = await self.port.start("127.0.0.1", 0)

    async def stop(self) -> None:
        await self.port.drain(0.1)
        await self.upstream.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.at}/v1"


YAML = """
auth: none
models:
  - name: strong
    tariff: {{input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}}
    context_tokens: 8000
    backends: [{strong}]
  - name: weak
    tariff: {{input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}}
    context_tokens: 8000
    backends: [{weak}]
routes:
  - {{name: auto, models: [strong, weak], router: {{artifact: builtin, fallback_strong_share: 0.5}}}}
  - {{name: one, models: [strong]}}
classes:
  - {{name: critical, value: 10, ttft_deadline: 2s}}
  - {{name: standard, value: 3, ttft_deadline: 30s}}
tenants:
  - {{name: open, class: standard, may: {may}}}
  - {{name: acme, class: standard, keys: ["sha256:{digest}"]}}
slos:
  - {{name: availability, sli: {{kind: availability}}, objective: 0.999, window: 28d}}
  - {{name: first-token, sli: {{kind: ttft, at_most: 1s}}, objective: 0.95, window: 28d}}
upstream: {{{upstream}}}
server: {{{server}}}
"""
ACME_KEY = "acme-key"


@pytest.fixture
async def backends() -> AsyncIterator[Callable[[], Awaitable[Backend]]]:
    """Make raw backends."""
    made: list[Backend] = []

    async def make() -> Backend:
        backend = Backend()
        await backend.start()
        made.append(backend)
        return backend

    yield make
    for backend in made:
        await backend.stop()


@pytest.fixture
async def gateways() -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """Make gateways in front of backends."""
    made: list[Gateway] = []

    async def make(
        strong: Sequence[str], weak: Sequence[str] = (), upstream: str = "", server: str = "", may: str = "[debug, choose_model]"
    ) -> Gateway:
        import hashlib

        def listed(urls: Sequence[str]) -> str:
            return ", ".join(f'{{url: "{u}", model: real-model, api_key: "${{KEY}}"}}' for u in urls)

        digest = hashlib.sha256(ACME_KEY.encode()).hexdigest()
        gateway = Gateway(
            YAML.format(strong=listed(strong), weak=listed(weak or strong), upstream=upstream, server=server, may=may, digest=digest)
        )
        await gateway.start()
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        await gateway.stop()
