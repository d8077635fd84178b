"""Which path goes where, with a story that only listens."""

import asyncio
import json
from typing import Any

import pytest

from gateway.edges.chance import SystemChance
from gateway.edges.clock import SystemClock
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


class Running:
    """A config version; only its number is asked for here."""

    generation = 7


@pytest.fixture
async def port():
    story = Story()
    made = DataPort(ServerOptions(), SystemClock(), SystemChance(), story, lambda: made.running)  # type: ignore[arg-type, attr-defined]
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
    other = DataPort(ServerOptions(), SystemClock(), SystemChance(), Story(), lambda: None)  # type: ignore[arg-type]
    with pytest.raises(OSError):
        await other.start("127.0.0.1", port.at)
    await other.drain(0.0)
    first = DataPort(ServerOptions(), SystemClock(), SystemChance(), Story(), lambda: None)  # type: ignore[arg-type]
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
