"""The embedded server's life: no orphan, no stray file, state kept, one gateway per directory."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.edges.store import embedded
from gateway.edges.store.embedded import EmbeddedRefused, EmbeddedServer
from gateway.edges.store.options import StoreOptions
from gateway.ports import StoreAway

ROOT = Path(__file__).parents[3]
LEFT = {"appendonlydir", "gateway.lock", "server.lock", "server.log"}
PARENT = """
import asyncio, sys
from gateway.edges.store import embedded
from gateway.edges.store.options import StoreOptions

async def main():
    server = await embedded.start(StoreOptions(directory=sys.argv[1]))
    print(server.health.pid, server._guard.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def is_running(pid: int) -> bool:
    """Read the state: in a container without an init a dead process lingers as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # The second when it ends between opening and reading.
        return False


def wait_gone(*pids: int) -> bool:
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        if not any(map(is_running, pids)):
            return True
        time.sleep(0.01)
    return False


def parent(directory: Path) -> tuple["subprocess.Popen[str]", int, int]:
    """Start a process with an embedded server; return it, the server's and the guard's process id."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PARENT, str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    assert process.stdout is not None
    server, guard = map(int, process.stdout.readline().split())
    return process, server, guard


async def restarted(url: str) -> None:
    client = Redis.from_url(url, socket_timeout=0.5)
    for _ in range(200):
        try:
            await client.execute_command("PING")
            break
        except Exception:
            await asyncio.sleep(0.02)
    else:
        raise AssertionError("the server did not come back")
    await client.aclose()


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_and_no_stray_file_is_left_when_the_gateway_dies(directory: Path, number: signal.Signals) -> None:
    before = set(Path(tempfile.gettempdir()).iterdir())
    process, server, guard = parent(directory)
    assert is_running(server)
    assert os.getsid(server) == os.getsid(guard) == guard, "Ctrl-C at a terminal reaches the gateway alone"
    process.send_signal(number)
    process.wait(10)
    assert wait_gone(server, guard)
    assert {p.name for p in directory.iterdir()} <= LEFT | {"store.sock"}
    strays = {p for p in set(Path(tempfile.gettempdir()).iterdir()) - before if "valkey" in p.name or "sluice" in p.name}
    assert not strays


@linux
def test_a_killed_guard_takes_the_server_along(directory: Path) -> None:
    process, server, guard = parent(directory)
    os.kill(guard, signal.SIGKILL)
    assert wait_gone(server)
    process.kill()
    process.wait()


@linux
async def test_a_gateway_that_was_killed_can_start_again_at_once_with_its_state(directory: Path, replica, server) -> None:  # type: ignore[no-untyped-def]
    process, old, _ = parent(directory)
    one = replica("boot-1", f"unix://{directory}/store.sock")
    one.book("n", 3)
    await one.store.flush()
    process.kill()
    own: EmbeddedServer = await server()
    assert own.health.pid != old
    assert not is_running(old)
    assert await replica("boot-2", own.url).total("n") == 3
    process.wait()


async def test_a_second_gateway_on_the_directory_is_refused_and_the_first_goes_on(directory: Path, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    with pytest.raises(EmbeddedRefused, match=rf"another gateway \(process {os.getpid()}\) uses store.directory"):
        await embedded.start(StoreOptions(directory=str(directory)))
    await restarted(own.url)


async def test_the_server_has_no_port_a_private_socket_a_limit_and_no_eviction(directory: Path, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server(memory_max=32 * 1024 * 1024)
    client = Redis.from_url(own.url, decode_responses=True)
    settings = await client.config_get("port", "maxmemory", "maxmemory-policy", "appendonly", "appendfsync")
    assert settings == {
        "port": "0",
        "maxmemory": str(32 * 1024 * 1024),
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
    }
    assert (directory / "store.sock").stat().st_mode & 0o777 == 0o700
    await client.aclose()


async def test_stopping_leaves_no_socket_and_a_restart_keeps_the_counts(directory: Path, replica, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    one = replica("boot-1", own.url)
    one.book("n", 5)
    await one.store.flush()
    await own.stop()
    assert {p.name for p in directory.iterdir()} <= LEFT
    await server()
    one.book("n", 1)
    for _ in range(20):
        try:
            await one.store.flush()
            break
        except StoreAway:
            await asyncio.sleep(0.05)
    assert await one.total("n") == 6


async def test_a_file_cut_short_by_a_crash_loads(directory: Path, replica, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    one = replica("boot-1", own.url)
    one.book("n", 5)
    await one.store.flush()
    await own.stop()
    newest = next((directory / "appendonlydir").glob("*.incr.aof"))
    with newest.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$5\r\nhal")
    own = await server()
    assert await replica("boot-2", own.url).total("n") == 5


async def test_a_damaged_file_is_refused_with_the_way_out(directory: Path, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    await own.stop()
    newest = next((directory / "appendonlydir").glob("*.incr.aof"))
    newest.write_bytes(b"this is no append-only file\r\n" * 20)
    with pytest.raises(EmbeddedRefused, match="valkey-check-aof --fix"):
        await server()


@linux
async def test_a_server_that_dies_is_started_again(directory: Path, replica, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    one = replica("boot-1", own.url)
    one.book("n", 1)
    await one.store.flush()
    watch = asyncio.create_task(own.supervise())
    for round_ in (1, 2):
        os.kill(own.health.pid or 0, signal.SIGKILL)
        while own.health.restarts < round_:
            await asyncio.sleep(0.02)
        one.book("n", 1)
        for _ in range(40):
            try:
                await one.store.flush()
                break
            except StoreAway:
                await asyncio.sleep(0.05)
    assert await one.total("n") == 3
    assert own.health.is_running
    assert "ended with status 137" in (own.health.last_error or "")
    await own.stop()
    await asyncio.wait_for(watch, 1.0)


@linux
async def test_a_frozen_server_costs_a_timeout_and_nothing_else(replica, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    one = replica("boot-1", own.url)
    one.book("n", 1)
    await one.store.flush()
    assert own.health.pid is not None
    os.kill(own.health.pid, signal.SIGSTOP)
    loop, booked = asyncio.get_running_loop(), 1
    frozen_s = loop.time()
    while loop.time() < frozen_s + 2.0:
        began_s = loop.time()
        one.book("n", 1)
        booked += 1
        with pytest.raises(StoreAway):
            await one.store.flush()
        with pytest.raises(StoreAway):
            await one.store.poll()
        assert loop.time() - began_s < 1.2, "each call ends within its timeout of 0.5 s"
        await asyncio.sleep(0.2)
    os.kill(own.health.pid, signal.SIGCONT)
    while one.store.health.is_away:
        await asyncio.sleep(0.05)
        try:
            await one.store.flush()
        except StoreAway:
            continue
    assert loop.time() - frozen_s < 5.0
    assert await one.total("n") == booked
    assert one.store.health.pending_batches == 0


@linux
async def test_a_frozen_server_is_ended_all_the_same(directory: Path, server, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    pid = own.health.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(embedded, "STOP_WAIT_S", 0.2)
    await own.stop()
    assert wait_gone(pid)
