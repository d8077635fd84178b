"""The guard, around an ordinary program: it ends its server with its gateway, and only then."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.edges.store import guard

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def opened(pid: int) -> set[str]:
    """Return what a process has open; a starting one closes files while we look."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(link))
    return found


def is_running(pid: int) -> bool:
    """Read the state: in a container without an init a dead process lingers as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_gone(pid: int, seconds: float = 3.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not is_running(pid):
            return True
        time.sleep(0.01)
    return False


def start(tmp_path: Path, *command: str, code: str | None = None) -> "subprocess.Popen[bytes]":
    runner = [guard.__file__] if code is None else ["-c", code]
    return subprocess.Popen(
        [sys.executable, "-I", *runner, *map(str, (tmp_path / "lock", tmp_path / "sock", tmp_path / "server.log")), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def pid_of(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_end_of_the_pipe_ends_the_server(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    server = pid_of(process)
    assert is_running(server)
    assert str(tmp_path / "lock") in opened(server), "it holds the lock as long as it lives"
    process.stdin.close()  # type: ignore[union-attr]
    assert process.wait(3) == 128 + signal.SIGTERM
    assert wait_gone(server)


def test_a_killed_guard_takes_its_server_along(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    server = pid_of(process)
    process.kill()
    assert wait_gone(server)
    process.wait()


def test_a_terminated_guard_ends_its_server_first(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep", "60")
    server = pid_of(process)
    process.terminate()
    process.wait(3)
    assert not is_running(server)


def test_the_guard_ends_with_its_server_s_status(tmp_path: Path) -> None:
    process = start(tmp_path, sys.executable, "-c", "import sys; print('bad setting'); sys.exit(3)")
    pid_of(process)
    assert process.wait(3) == 3
    assert (tmp_path / "server.log").read_text() == "bad setting\n"


def test_a_server_that_does_not_listen_is_killed_after_the_grace(tmp_path: Path) -> None:
    path = Path(guard.__file__).parent
    code = f"import sys; sys.path.insert(0, {str(path)!r}); import guard; guard.GRACE_S = 0.3; sys.exit(guard.main(sys.argv[1:]))"
    process = start(tmp_path, sys.executable, "-c", STUBBORN, code=code)
    server = pid_of(process)
    while "up" not in (tmp_path / "server.log").read_text():
        time.sleep(0.01)
    process.stdin.close()  # type: ignore[union-attr]
    assert process.wait(5) == 128 + signal.SIGKILL
    assert not is_running(server)


def test_a_stale_socket_is_removed_but_only_when_the_old_server_is_dead(tmp_path: Path) -> None:
    (tmp_path / "sock").touch()
    old = start(tmp_path, "sleep", "60")
    pid_of(old)
    assert not (tmp_path / "sock").exists()
    (tmp_path / "sock").touch()
    new = start(tmp_path, "sleep", "60")
    time.sleep(0.3)
    assert (tmp_path / "sock").exists(), "the old server still runs"
    old.kill()
    assert is_running(pid_of(new))
    assert not (tmp_path / "sock").exists()
    new.stdin.close()  # type: ignore[union-attr]
    new.wait(3)
    old.wait()


def test_the_log_before_the_last_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        process = start(tmp_path, "echo", word)
        process.wait(3)
    assert (tmp_path / "server.log").read_text() == "second\n"
    assert (tmp_path / "server.log.1").read_text() == "first\n"


def test_a_guard_whose_parent_died_ends_although_somebody_holds_the_pipe(tmp_path: Path) -> None:
    """The parent starts a guard whose pipe this test holds as well, and dies."""
    reads, writes = os.pipe()
    parent = (
        "import subprocess, sys, os, time\n"
        "p = subprocess.Popen(sys.argv[2:], stdin=int(sys.argv[1]), stdout=subprocess.PIPE, start_new_session=True)\n"
        "print(p.stdout.readline().decode(), end='', flush=True); os._exit(0)"
    )
    files = map(str, (tmp_path / "lock", tmp_path / "sock", tmp_path / "server.log"))
    command = [sys.executable, "-c", parent, str(reads), sys.executable, "-I", guard.__file__, *files, "sleep", "60"]
    started = subprocess.run(command, pass_fds=(reads,), stdout=subprocess.PIPE, check=True)
    assert wait_gone(int(started.stdout), guard.LOOK_S + 3.0)
    os.close(reads)
    os.close(writes)
