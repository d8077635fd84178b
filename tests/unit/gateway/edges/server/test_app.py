"""Which path goes where, with a story that only listens."""

import asyncio
import json
from typing import Any

import pytest

from gateway.core.dispatcher import Dispatcher
from gateway.core.state import State
from gateway.core.tenants.directory import Directory
from gateway.domain.catalog import Catalog, Model, Route, Router, Tariff, Tenant, TrafficClass
from gateway.edges.chance import SystemChance
from gateway.edges.clock import SystemClock
from gateway.edges.outbox import TurnOutbox
from gateway.edges.server.app import DataPort
from gateway.edges.server.options import ServerOptions


class Story:
    """Notes what reaches it."""

    def __init__(self) -> None:
        self.away: list[str] = []

    async def answer(self, *_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("nothing here reaches a model")

    async def refuse(self, running: Any, error: Any, request_id: str, client: Any, client_request_id: Any = None) -> None:
        raise AssertionError("nothing here gets that far")

    def turned_away(self, running: Any, reason: Any) -> None:
        self.away.append(reason.value)


class Told:
    """A story that answers each call with the qualities it was scored with."""

    def __init__(self) -> None:
        self.scored_together: list[int] = []
        self.refused: list[str] = []
        self.answered = 0
        self.fails = self.scores_nothing = False

    def scored(self, _running: Any, asked: Any) -> list[Any]:
        if self.scores_nothing:
            raise RuntimeError
        self.scored_together.append(len(asked))
        return [(len(decoded.prompt_text), 0.0) for _, decoded in asked]

    async def answer(self, _running: Any, _facts: Any, _decoded: Any, qualities: Any, _headers: Any, client: Any, *_more: Any) -> None:
        self.answered += 1
        if self.fails:
            raise RuntimeError
        body = str(qualities[0]).encode()
        await client.start(200, [], len(body))
        await client.write(body)
        await client.finish()

    async def refuse(self, _running: Any, error: Any, _request_id: str, client: Any, _theirs: Any = None) -> None:
        self.refused.append(error.reason.value)
        await client.start(400, [], 0)
        await client.finish()

    def turned_away(self, _running: Any, reason: Any) -> None:
        self.refused.append(reason.value)


class Running:
    """A config version."""

    generation = 7

    def __init__(self) -> None:
        classes = {"std": TrafficClass("std", 3, 5, 0)}
        models = {name: Model(name, Tariff(1, 1), 8000, ()) for name in ("big", "small")}
        routes = {"auto": Route("auto", ("big", "small"), Router("builtin", 0.5))}
        self.catalog = Catalog(models, routes, classes, {"open": Tenant("open", (), "std")}, "open")
        self.dispatcher, self.directory = Dispatcher(self.catalog, (), {}, State()), Directory(self.catalog)


@pytest.fixture
async def port():
    story = Story()
    made = DataPort(ServerOptions(), SystemClock(), SystemChance(), story, lambda: made.running, TurnOutbox())  # type: ignore[arg-type, attr-defined]
    made.running = Running()  # type: ignore[attr-defined]
    made.story = story  # type: ignore[attr-defined]
    made.at = await made.start("127.0.0.1", 0)  # type: ignore[attr-defined]
    yield made
    await made.drain(0.0)


async def ask(port: Any, line: bytes) -> tuple[int, bytes, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port.at)
    writer.write(line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), head.lower(), body


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /health", 200),
        (b"GET /health?x=1", 200),
        (b"GET /health/liveness", 200),
        (b"GET /health/liveliness", 200),
        (b"GET /health/readiness", 200),
        (b"POST /health", 405),
        (b"GET /v1/chat/completions", 405),
        (b"DELETE /v1/models", 405),
        (b"POST /v1/models/x", 405),
        (b"OPTIONS /v1/chat/completions", 405),
        (b"GET /V1/models", 404),
        (b"GET //health", 404),
        (b"GET /v1", 404),
        (b"GET /%68ealth", 404),
    ],
)
async def test_each_path_and_method_has_one_answer(port, line, status):
    seen, head, body = await ask(port, line)
    assert seen == status
    if status != 200:
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"} and b"x-request-id: req_" in head
        assert len(port.story.away) == 1
    if status == 405:
        assert b"\r\nallow: " in head


async def test_readiness_shows_the_generation_and_turns_red(port):
    assert json.loads((await ask(port, b"GET /health/readiness"))[2])["config_generation"] == 7
    port.running = None
    assert (await ask(port, b"GET /health/readiness"))[0] == 503
    assert port.generation is None


async def test_two_ports_may_share_an_address_and_a_taken_one_is_an_error(port):
    other = DataPort(ServerOptions(), SystemClock(), SystemChance(), Story(), lambda: None, TurnOutbox())  # type: ignore[arg-type]
    with pytest.raises(OSError):
        await other.start("127.0.0.1", port.at)
    await other.drain(0.0)
    first = DataPort(ServerOptions(), SystemClock(), SystemChance(), Story(), lambda: None, TurnOutbox())  # type: ignore[arg-type]
    at = await first.start("127.0.0.1", 0, reuse_port=True)
    await other.start("127.0.0.1", at, reuse_port=True)
    await first.drain(0.0)
    await other.drain(0.0)


async def test_a_drain_without_traffic_takes_no_time(port):
    start = asyncio.get_running_loop().time()
    assert await port.drain(30.0) == 0
    assert asyncio.get_running_loop().time() - start < 0.5
    with pytest.raises(ConnectionError):
        await ask(port, b"GET /health")


# -- usual calls ---------------------------------------------------------------------------------------------------------


class Wire(asyncio.Transport):
    """A client's side without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.got = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.got += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Clients:
    """Several clients of one port that send in the same turn of the loop."""

    def __init__(self, story: Told, **options: Any) -> None:
        self.story = story
        self.port = DataPort(ServerOptions(**options), SystemClock(), SystemChance(), story, Running, TurnOutbox())  # type: ignore[arg-type]
        self.wires: list[Wire] = []
        self.connections: list[Any] = []

    def send(self, body: bytes, path: bytes = b"/v1/chat/completions") -> None:
        connection, wire = self.port._make_server()(), Wire()
        connection.connection_made(wire)
        connection.data_received(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body))
        self.wires.append(wire)
        self.connections.append(connection)

    async def settled(self) -> list[bytes]:
        for _ in range(5):
            await asyncio.sleep(0)
        return [wire.got.partition(b"\r\n\r\n")[2] for wire in self.wires]


def asking(text: str) -> bytes:
    return b'{"model":"auto","messages":[{"role":"user","content":"%b"}]}' % text.encode()


async def test_calls_of_one_turn_are_scored_together_and_each_gets_its_own_answer():
    clients = Clients(Told())
    for text in ("a", "bb", "ccc"):
        clients.send(asking(text))
    assert await clients.settled() == [b"1", b"2", b"3"]
    assert clients.story.scored_together == [3]
    clients.connections[0].data_received(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(asking("d")))
    clients.connections[0].data_received(asking("d"))
    await clients.settled()
    assert clients.story.scored_together == [3, 1] and clients.wires[0].got.endswith(b"1")
    assert clients.port.in_flight == 0
    await clients.port.drain(0.0)


async def test_a_bad_call_among_good_ones_is_refused_alone():
    clients = Clients(Told())
    for body in (asking("a"), b"{", asking("b").replace(b"auto", b"nobody"), asking("cc")):
        clients.send(body)
    answers = await clients.settled()
    assert (answers[0], answers[3]) == (b"1", b"2") and b" 400 " in clients.wires[1].got
    assert clients.story.scored_together == [2] and clients.story.refused == ["invalid_json", "model_not_found"]
    await clients.port.drain(0.0)


async def test_a_client_that_left_in_the_same_turn_is_not_answered_and_leaves_nothing_behind():
    clients = Clients(Told())
    clients.send(asking("a"))
    clients.connections[0].connection_lost(None)
    assert await clients.settled() == [b""]
    assert clients.story.answered == 0 and clients.port.in_flight == 0
    # The same between the reading and the first step of the answer.
    clients.send(asking("b"))
    clients.port._begin()
    assert clients.port.in_flight == 1
    clients.connections[1].connection_lost(None)
    await clients.settled()
    assert clients.story.answered == 0 and clients.port.in_flight == 0
    await clients.port.drain(0.0)


async def test_more_calls_than_may_be_under_way_are_told_so():
    clients = Clients(Told(), streams_max=2)
    for text in ("a", "b", "c"):
        clients.send(asking(text))
    answers = await clients.settled()
    assert answers[:2] == [b"1", b"1"] and b" 429 " in clients.wires[2].got and clients.story.refused == ["limit_streams"]
    await clients.port.drain(0.0)


async def test_a_story_that_breaks_off_is_answered_for_and_the_connection_closed():
    clients = Clients(Told())
    clients.story.fails = True
    clients.send(asking("a"))
    await clients.settled()
    assert b" 500 " in clients.wires[0].got and clients.wires[0].is_closed and clients.port.in_flight == 0
    await clients.port.drain(0.0)


async def test_a_fault_in_scoring_is_answered_for_every_call_of_the_turn():
    clients = Clients(Told())
    clients.story.scores_nothing = True
    for text in ("a", "b"):
        clients.send(asking(text))
    await clients.settled()
    assert all(b" 500 " in wire.got and wire.is_closed for wire in clients.wires) and clients.port.in_flight == 0
    await clients.port.drain(0.0)


@pytest.mark.parametrize("grace_s", [0.0, 5.0])
async def test_a_call_that_arrived_just_before_the_drain_is_told(grace_s: float):
    clients = Clients(Told())
    clients.send(asking("a"))
    assert await clients.port.drain(grace_s) == 0 and clients.port.in_flight == 0
    assert b" 503 " in clients.wires[0].got and clients.story.refused == ["shutting_down"]
