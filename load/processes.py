"""Child processes that end when we do, however we do.

Each child reads its end from standard input, a pipe that only we hold (`--guard` of the gateway and of the simulated
backends): a parent that is killed leaves no orphan. Children lead sessions of their own, so that Ctrl-C reaches only us
and we stop them in order.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

READY_WAIT_S = 60.0
STOP_WAIT_S = 15.0
LINES_KEPT = 200


class ChildRefused(Exception):
    """A child ended, or stayed silent, instead of becoming ready; the message is what it said, a line or several."""

    def __init__(self, name: str, message: str, status: int | None) -> None:
        super().__init__(message)
        self.name, self.status = name, status


class Child:
    """One child process; made by `start`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path, log_begins: int) -> None:
        self.name, self._process, self._log, self._log_begins = name, process, log, log_begins
        self._said: deque[str] = deque(maxlen=LINES_KEPT)
        self._news, self._is_silent = asyncio.Event(), False
        self._reading = asyncio.get_running_loop().create_task(self._read(), name=f"output of {name}")

    @classmethod
    async def start(cls, name: str, module: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> "Child":
        """Start `python -m MODULE ...`; what it writes to standard error goes to `log`."""
        with log.open("ab") as output:
            log_begins = output.tell()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **(environ or {})},
            )
        return cls(name, process, log, log_begins)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.returncode

    async def ready(self, beginning: str, wait_s: float = READY_WAIT_S) -> str:
        """Wait for the line on standard output that begins so, and return the rest of it.

        Raises: ChildRefused.
        """
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    self._news.clear()
                    for line in self._said:
                        if line.startswith(beginning):
                            return line.removeprefix(beginning).strip()
                    if self._is_silent:
                        await self._process.wait()
                        raise ChildRefused(self.name, self._last_words(), self.status)
                    await self._news.wait()
        except TimeoutError:
            raise ChildRefused(self.name, f"{self.name} was not ready within {wait_s:g} s; see {self._log}", None) from None

    async def stop(self, wait_s: float = STOP_WAIT_S) -> int:
        """Ask it to end, make it end after `wait_s`; return its exit status, negative for a signal."""
        for number, patience_s in ((signal.SIGTERM, wait_s), (signal.SIGKILL, None)):
            self.send(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), patience_s)
                break
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._reading
        return self._process.returncode or 0

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until it ends."""
        return await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._said.append(line.decode("utf-8", "replace").rstrip("\n"))
            self._news.set()
        self._is_silent = True
        self._news.set()

    def _last_words(self) -> str:
        """Return what it said on standard output, else the last line of its log."""
        if self._said:
            return "\n".join(self._said)
        lines = self._log.read_bytes()[self._log_begins :].decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else f"{self.name} ended with status {self.status} and said nothing"


def free_addresses(count: int, host: str = "127.0.0.1") -> list[str]:
    """Return that many `host:port` that nobody uses at this moment; somebody may take them before we do."""
    with contextlib.ExitStack() as held:
        listening = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in listening:
            each.bind((host, 0))
        return [f"{host}:{each.getsockname()[1]}" for each in listening]
