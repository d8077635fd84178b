"""A tiny process between the gateway and its embedded server, so that the server never outlives the gateway.

    python guard.py LOCK SOCKET LOG SERVER ARGUMENT...

Its standard input is a pipe that only the gateway holds: end of file means that the gateway is gone, however it went
(SIGTERM, SIGINT, SIGKILL, a crash). Then the server gets SIGTERM, and SIGKILL after `GRACE_S`. If the guard itself is
killed, the kernel kills the server (PR_SET_PDEATHSIG, Linux). Should somebody else have inherited the pipe, a changed
parent says the same. The guard leads its own session: Ctrl-C reaches the gateway alone, which still wants to flush.

LOCK is held by the guard and, inherited, by the server: a new guard on the same directory waits until the old server is
really dead before it removes its socket and starts another on the same append-only file.

Standard library only, and no package import: it starts in a few hundredths of a second, in `python -I -S`.
Writes one line, the server's process id. Exit status: the server's; 128 + n when signal n ended it.
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

GRACE_S = 5.0
"""From SIGTERM to SIGKILL; a server that is loading or frozen does not listen."""
LOCK_WAIT_S = 15.0
LOOK_S = 1.0
"""How often the parent is looked at, should the pipe not tell."""
BUSY = 75
"""Exit status when another server still holds the directory."""
PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Run the server until it or the gateway ends."""
    parent = os.getppid()
    lock_path, socket_path, log_path, *command = argv
    wakeup = _wake_on_signals()
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    waits_until_s = time.monotonic() + LOCK_WAIT_S  # noqa: TID251 - a process of its own, outside the gateway's clock
    while not locked(lock):
        if _is_gateway_gone(parent, wakeup, 0.02):
            return 0
        if time.monotonic() > waits_until_s:  # noqa: TID251
            return BUSY
    with suppress(FileNotFoundError):
        Path(socket_path).unlink()
    server = _start(command, lock, Path(log_path))
    try:
        with suppress(OSError):  # A gateway that has gone meanwhile is noticed below.
            os.write(1, b"%d\n" % server.pid)
        while server.poll() is None and not _is_gateway_gone(parent, wakeup, LOOK_S):
            pass
    finally:
        _stop(server)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def _wake_on_signals() -> int:
    """Return a descriptor that can be read when a child has ended or we are asked to end."""
    wakeup, wakes = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakes)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return wakeup


def locked(lock: int) -> bool:
    """Take an exclusive lock on an open file; False while somebody else holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _start(command: list[str], lock: int, log: Path) -> "subprocess.Popen[bytes]":
    with suppress(FileNotFoundError):
        log.replace(log.with_suffix(".log.1"))  # What a server that crashed had to say.
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
        )


def _die_with(guard: int) -> Callable[[], None] | None:
    """Return what the server does before it starts: ask the kernel to kill it when the guard dies."""
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:  # It died before we asked.
            os._exit(1)

    return ask


def _is_gateway_gone(parent: int, wakeup: int, wait_s: float) -> bool:
    """Wait a moment for news; True when the gateway has gone or somebody asked us to end."""
    readable, _, _ = select.select([0, wakeup], [], [], wait_s)
    if wakeup in readable and any(n in (signal.SIGTERM, signal.SIGINT) for n in os.read(wakeup, 64)):
        return True
    if 0 in readable and not os.read(0, 64):
        return True
    return os.getppid() != parent


def _stop(server: "subprocess.Popen[bytes]") -> None:
    if server.poll() is not None:
        return
    server.terminate()
    try:
        server.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
