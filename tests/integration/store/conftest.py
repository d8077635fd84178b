"""Real Valkey servers: one shared by the session, and ones of a test's own to be frozen, killed and rolled back."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.edges.clock import SystemClock
from gateway.edges.store import embedded
from gateway.edges.store.binary import EmbeddedRefused, find
from gateway.edges.store.embedded import EmbeddedServer
from gateway.edges.store.options import StoreOptions
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.store.redis import RedisStore

try:
    find()
except EmbeddedRefused as exc:
    collect_ignore_glob = ["test_*.py"]
    print(f"store tests left out: {exc}")


class Replica:
    """One process's side of the store."""

    def __init__(self, url: str, name: str, timeout_s: float = 0.5) -> None:
        self.recorder, self.clock = SlotRecorder(), SystemClock()
        self.store = RedisStore(url, StoreOptions(timeout=timeout_s), self.clock, self.recorder, name)

    def book(self, name: str, amount: int, wall_s: float | None = None) -> None:
        self.recorder.book([(name, amount)], self.clock.wall_s() if wall_s is None else wall_s)

    async def total(self, name: str, width_s: int = 3600) -> int:
        return sum(totals.get(name, 0) for width, _, totals in await self.store.slots(0) if width == width_s)


NewReplica = Callable[..., Replica]
NewServer = Callable[..., Awaitable[EmbeddedServer]]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A state directory with a short path: a socket's path has few bytes."""
    path = Path(tempfile.mkdtemp(prefix="sluice-test-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def session_url() -> Iterator[str]:
    """A server for all tests that leave it running, in a loop of its own."""
    path, up, done = Path(tempfile.mkdtemp(prefix="sluice-test-")), threading.Event(), threading.Event()
    urls: list[str] = []

    async def live() -> None:
        server = await embedded.start(StoreOptions(directory=str(path)))
        urls.append(server.url)
        up.set()
        await asyncio.to_thread(done.wait)
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    assert up.wait(20)
    yield urls[0]
    done.set()
    thread.join()
    shutil.rmtree(path)


@pytest.fixture
async def client(session_url: str) -> AsyncIterator[Redis]:
    """A plain client of the session's server, emptied for this test."""
    plain = Redis.from_url(session_url, decode_responses=True)
    await plain.flushall()
    yield plain
    await plain.aclose()


@pytest.fixture
async def replica(client: Redis, session_url: str) -> AsyncIterator[NewReplica]:
    """Make replicas on the emptied session's server, or on another one."""
    made: list[Replica] = []

    def new(name: str = "boot-1", url: str = session_url, timeout_s: float = 0.5) -> Replica:
        made.append(Replica(url, name, timeout_s))
        return made[-1]

    yield new
    for one in made:
        await one.store.close()


@pytest.fixture
async def server(directory: Path) -> AsyncIterator[NewServer]:
    """Start a server of this test's own, in its state directory."""
    started: list[EmbeddedServer] = []

    async def new(memory_max: int = 64 * 1024 * 1024) -> EmbeddedServer:
        started.append(await embedded.start(StoreOptions(directory=str(directory), memory_max=memory_max)))
        return started[-1]

    yield new
    for one in started:
        await one.stop()
