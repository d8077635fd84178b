"""The embedded store: a real Valkey server of our own, on a Unix socket in the state directory.

Its append-only file, synced every second, makes a month's budget survive a restart; it has no TCP port, a memory limit
and no eviction. One gateway per state directory (`gateway.lock`); the server is started through `guard.py`, which ends
it when we end, however we end. All state is in the directory: nothing temporary is made elsewhere.
"""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.edges.store import binary, guard
from gateway.edges.store.binary import EmbeddedRefused
from gateway.edges.store.options import StoreOptions

__all__ = ["EmbeddedHealth", "EmbeddedRefused", "EmbeddedServer", "start"]

SOCKET = "store.sock"
SOCKET_BYTES_MAX = 103 if sys.platform == "darwin" else 107
"""`sun_path` without its closing zero."""
READY_WAIT_S = 60.0
"""A large append-only file takes a while to load: some seconds for 256 MB."""
LOCK_WAIT_S = 1.0
"""A gateway that was killed a moment ago may still be dying."""
LOOK_EVERY_S = 0.02
STOP_WAIT_S = guard.GRACE_S + 2.0
RESTART_BACKOFF_S = (0.1, 0.5, 2.0, 10.0)
STABLE_S = 30.0
"""A server that lived this long starts its backoff anew."""


@dataclass(slots=True)
class EmbeddedHealth:
    """What the page shows of the embedded server."""

    is_running: bool = False
    pid: int | None = None
    restarts: int = 0
    last_error: str | None = None


class EmbeddedServer:
    """One server and its guard; made by `start`."""

    def __init__(self, program: Path, directory: Path, memory_max: int, lock: int) -> None:
        self._program, self._directory, self._memory_max, self._lock = program, directory, memory_max, lock
        self._socket = directory / SOCKET
        self._log = directory / "server.log"
        self._guard: asyncio.subprocess.Process | None = None
        self._is_stopping = False
        self.health = EmbeddedHealth()
        self.url = f"unix://{self._socket}"

    async def supervise(self) -> None:
        """Start the server again whenever it dies; runs until `stop`, or until it is cancelled."""
        failures = 0
        while self._guard is not None and not self._is_stopping:
            started_s = asyncio.get_running_loop().time()
            status = await self._guard.wait()
            if self._is_stopping:
                return
            self.health.is_running, self.health.pid = False, None
            self.health.last_error = f"the embedded server ended with status {status}: {self._last_words()}"
            failures = 0 if asyncio.get_running_loop().time() - started_s > STABLE_S else failures
            await asyncio.sleep(RESTART_BACKOFF_S[min(failures, len(RESTART_BACKOFF_S) - 1)])
            failures += 1
            if self._is_stopping:
                return
            try:
                await self._launch()
                self.health.restarts += 1
            except EmbeddedRefused as exc:
                self.health.last_error = str(exc)

    async def stop(self) -> None:
        """End the server and let the directory go; what was acknowledged is on disk."""
        self._is_stopping = True
        await self._end_guard()
        self.health.is_running, self.health.pid = False, None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _launch(self) -> None:
        """Start guard and server and wait until it answers. Raises: EmbeddedRefused."""
        for leftover in self._directory.glob("temp-*.aof"):  # Of a rewrite that was cut short.
            leftover.unlink(missing_ok=True)
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", guard.__file__, str(self._directory / "server.lock"), str(self._socket), str(self._log)),
            *self._command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            if self._is_stopping:
                raise EmbeddedRefused("stopped while starting")
            assert self._guard.stdout is not None
            line = await self._guard.stdout.readline()
            if not line:
                raise self._refusal(await self._guard.wait())
            await self._answering()
        except BaseException:
            await self._end_guard()
            raise
        self.health.is_running, self.health.pid = True, int(line)

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "maxmemory": str(self._memory_max),
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
        }
        return [str(self._program), *(word for name, setting in settings.items() for word in (f"--{name}", setting))]

    async def _answering(self) -> None:
        """Wait until the server has loaded its data and answers."""
        assert self._guard is not None
        loop = asyncio.get_running_loop()
        until_s = loop.time() + READY_WAIT_S
        client = Redis(unix_socket_path=str(self._socket), socket_timeout=1.0, protocol=2, retry=Retry(NoBackoff(), 0))
        try:
            while loop.time() < until_s:
                if self._guard.returncode is not None:
                    raise self._refusal(self._guard.returncode)
                try:
                    await client.ping()
                    return
                except (RedisError, OSError):  # Not there yet, or still loading.
                    await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await client.aclose()
        raise EmbeddedRefused(f"the embedded server in {self._directory} did not answer within {READY_WAIT_S:g} s; see {self._log}")

    def _refusal(self, status: int) -> EmbeddedRefused:
        if status == guard.BUSY:
            return EmbeddedRefused(f"an earlier embedded server in {self._directory} does not end; kill it and start again")
        said = self._last_words()
        way_out = ""
        if "append only file" in said.lower() or "aof" in said.lower():
            way_out = f"; repair it with valkey-check-aof --fix, or move {self._directory}/appendonlydir away and start with empty budgets"
        return EmbeddedRefused(f"the embedded server in {self._directory} ended at once (status {status}): {said}{way_out}")

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text("utf-8", "replace").splitlines()
        except OSError:
            return "it left no log"
        # A warning about memory overcommit stands in every log and is never the reason.
        return next((line.strip() for line in reversed(lines) if line.strip() and "WARNING" not in line), "it said nothing")

    async def _end_guard(self) -> None:
        if self._guard is None:
            return
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        try:
            await asyncio.wait_for(self._guard.wait(), STOP_WAIT_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._guard.kill()  # The kernel ends the server with it.
            await self._guard.wait()


async def start(options: StoreOptions) -> EmbeddedServer:
    """Start the server of a state directory, or of none.

    Raises: EmbeddedRefused, one line with the way out: another gateway there, directory not writable, no program,
    path too long, damaged append-only file.
    """
    program, directory = binary.find(), _directory(options)
    lock = await _take(directory)
    server = EmbeddedServer(program, directory, options.memory_max, lock)
    try:
        await server._launch()
    except BaseException:
        await server.stop()
        raise
    return server


def _directory(options: StoreOptions) -> Path:
    directory = Path(options.directory).absolute()
    length = len(os.fsencode(directory / SOCKET))
    if length > SOCKET_BYTES_MAX:
        raise EmbeddedRefused(
            f"store.directory {directory} is too deep: with /{SOCKET} it has {length} bytes, "
            f"a Unix socket's path may have {SOCKET_BYTES_MAX}; choose a shorter one"
        )
    return directory


async def _take(directory: Path) -> int:
    """Lock the directory for this gateway; return the lock's descriptor, which no child inherits."""
    lock = _made(directory)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + LOCK_WAIT_S
    while not guard.locked(lock):
        await asyncio.sleep(LOOK_EVERY_S)
        if loop.time() > until_s:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise EmbeddedRefused(
                f"another gateway (process {holder}) uses store.directory {directory}: stop it, give this one a directory of its own, "
                "or let both share a server with store.url: redis://..."
            )
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _made(directory: Path) -> int:
    """Make the directory where there is none, and open its lock file."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(directory / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise EmbeddedRefused(
            f"store.directory {directory} cannot be written ({exc.strerror}); make it writable or choose another in store.directory"
        ) from exc
