"""Children: ready when they say so, refused with their own words, gone when told, and when we are gone."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from load.processes import Child, ChildRefused, free_addresses

BACKEND = ("load.backend", "--port", "0", "--guard")


async def test_a_child_is_ready_when_it_says_so_and_ends_when_told(tmp_path: Path) -> None:
    child = await Child.start("backend", BACKEND, tmp_path / "log")
    said = await child.ready("listening on")
    assert said.startswith("http://127.0.0.1:")
    assert child.status is None
    assert await child.stop() == 0
    assert child.status == 0


async def test_a_child_that_cannot_start_is_refused_in_its_own_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        child = await Child.start("backend", ("load.backend", "--port", str(taken.getsockname()[1])), tmp_path / "log")
        with pytest.raises(ChildRefused, match="cannot listen on") as caught:
            await child.ready("listening on")
    assert caught.value.status == 2
    await child.stop()


async def test_old_lines_of_the_log_are_not_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("an old complaint\n")
    child = await Child.start("nothing", ("this_module_does_not_exist_1",), tmp_path / "log")
    with pytest.raises(ChildRefused, match="No module named"):
        await child.ready("ready")
    await child.stop()


async def test_a_silent_child_is_given_up(tmp_path: Path) -> None:
    child = await Child.start("backend", BACKEND, tmp_path / "log")
    with pytest.raises(ChildRefused, match="not ready within"):
        await child.ready("never said", wait_s=0.2)
    await child.stop()


async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = await Child.start("backend", BACKEND, tmp_path / "log")
    await child.ready("listening on")
    child.send(signal.SIGSTOP)
    assert await child.stop(wait_s=0.3) == -signal.SIGKILL


def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib\nfrom load.processes import Child\n"
        "async def main():\n"
        f"    child = await Child.start('backend', {BACKEND!r}, pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "    await child.ready('listening on')\n    print(child.pid, flush=True)\n    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until_s = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < until_s:
        time.sleep(0.02)
    assert not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:  # One that nobody waits for, in a container without an init, is dead all the same.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_free_addresses_are_different_and_can_be_had() -> None:
    addresses = free_addresses(5)
    assert len(set(addresses)) == 5
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", int(addresses[0].rpartition(":")[2]))
    server.close()
