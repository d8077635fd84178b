"""The decision log: JSON lines from which every decision can be made again; a full disk is a metric, not an outage.

`write` is on the request path and only appends a tuple to a bounded queue. `flush`, called every half second in a
thread, formats and writes; one thread at a time. Rules it keeps:

- A decision's prices stand before it in the same file: they are written when the first decision of a file needs them, so
  that each rotated file explains itself. (Decisions are logged when requests end, minutes after newer prices came.)
- A batch is written whole or not at all: what a full disk took of it is cut off again, so no line is ever torn by us, and
  a line torn by a killed process is closed before the next one.
- On any error of the file system the batch is kept and tried again at the next flush; meanwhile the queue fills, then drops.
  A moved or removed file is noticed and made anew; a removed directory is waited for, not made (it may be a lost mount).
"""

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.edges.telemetry.options import DecisionLogOptions

RECENT_MAX = 50
BATCH = 1000
PRICES_KEPT = 1024
"""Versions remembered for the next file: an hour and more of one every few seconds; a request lives minutes."""
PRICES = "prices"

Record = tuple[Any, ...]


class FileDecisionLog:
    """The decision log of one process (`ports.DecisionLog`).

    Args:
        options: section `decision_log`; without a path only the last decisions are kept, for the page.
        as_line: turns a record into plain data (`core/routing/record.py`).
        as_json: turns it into JSON of one line, with the version of the prices that it belongs to.
        suffix: put before the file's extension when several processes log, each into its own file: `.w1`.
    """

    def __init__(
        self,
        options: DecisionLogOptions,
        as_line: Callable[[Record], Mapping[str, Any]],
        as_json: Callable[[Record], tuple[int | None, bytes]],
        suffix: str = "",
    ) -> None:
        self._options, self._as_line, self._as_json = options, as_line, as_json
        self.path = None if options.path is None else _with_suffix(Path(options.path), suffix)
        self._queue: deque[Record] = deque()
        self._recent: deque[Record] = deque(maxlen=RECENT_MAX)
        self._held: list[tuple[int | None, bytes]] = []
        self._prices: OrderedDict[int, list[bytes]] = OrderedDict()
        self._file: int | None = None
        self._size = 0
        self._in_file: set[int] = set()
        self.written = self.dropped = self.errors = 0
        self.last_error: str | None = None
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                self._failed(exc)

    def write(self, record: Record) -> None:
        """Queue one record; never waits, drops and counts when the disk does not keep up."""
        queue_max = self._options.buffer_max
        if record[0] == PRICES:
            queue_max += PRICES_KEPT  # decisions without their prices could not be made again
        else:
            self._recent.append(record)
            if self.path is None:
                return
        if len(self._queue) >= queue_max:
            self.dropped += 1
        else:
            self._queue.append(record)

    def recent(self, n: int = RECENT_MAX) -> list[Mapping[str, Any]]:
        """Return the last decisions, newest first, as plain data."""
        return [self._as_line(record) for record in list(self._recent)[: -n - 1 : -1]]

    def view(self) -> dict[str, Any]:
        """Return what the page and the metrics show of the log."""
        return {
            "path": None if self.path is None else str(self.path),
            "written": self.written,
            "dropped": self.dropped,
            "errors": self.errors,
            "last_error": self.last_error,
            "waiting": len(self._queue) + len(self._held),
        }

    def flush(self) -> None:
        """Write what is queued; blocks on the disk, so it runs in a thread. Never raises for the file system's sake."""
        while self._held or self._queue:
            if not self._held:
                self._held = self._taken()
            if self.path is None or not self._held:
                self._held = []
                continue
            try:
                self._append(self.path)
            except OSError as exc:
                self._failed(exc)
                return
            self.written += len(self._held)
            self._held, self.last_error = [], None

    def close(self) -> None:
        """Flush what can be flushed and let the file go."""
        self.flush()
        self._let_go()

    def _taken(self) -> list[tuple[int | None, bytes]]:
        """Take a batch from the queue: encoded decisions, each with the version of the prices it needs."""
        taken: list[tuple[int | None, bytes]] = []
        while self._queue and len(taken) < BATCH:
            record = self._queue.popleft()
            version, encoded = self._as_json(record)
            if record[0] == PRICES:
                assert version is not None
                self._remember(version, encoded + b"\n")
            else:
                taken.append((version, encoded + b"\n"))
        return taken

    def _remember(self, version: int, encoded: bytes) -> None:
        """Keep a prices line for the decisions to come; one version has several when the configuration changed under it."""
        variants = self._prices.setdefault(version, [])
        if encoded not in variants:
            variants.append(encoded)
            self._in_file.discard(version)
        while len(self._prices) > PRICES_KEPT:
            self._prices.popitem(last=False)

    def _append(self, path: Path) -> None:
        """Write the held batch at the end of the file, whole or not at all.

        Raises: OSError.
        """
        self._check(path)
        data, versions = self._chunk()
        if self._size > 0 and self._size + len(data) > self._options.rotate_at:
            self._rotate(path)
            self._check(path)
            data, versions = self._chunk()
        assert self._file is not None
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            with suppress(OSError):  # then the next open closes the torn line
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self._in_file |= versions

    def _chunk(self) -> tuple[bytes, set[int]]:
        """Return the held lines with the prices that this file still lacks, and their versions."""
        parts: list[bytes] = []
        versions: set[int] = set()
        for version, line in self._held:
            if version is not None and version not in self._in_file and version not in versions and version in self._prices:
                versions.add(version)
                parts += self._prices[version]
            parts.append(line)
        return b"".join(parts), versions

    def _check(self, path: Path) -> None:
        """Have the file open that stands at `path` now."""
        if self._file is not None:
            try:
                found = path.stat()
            except FileNotFoundError:
                self._let_go()
            else:
                here = os.fstat(self._file)
                if (found.st_ino, found.st_dev) != (here.st_ino, here.st_dev):
                    self._let_go()
        if self._file is None:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._size = os.fstat(self._file).st_size
            self._in_file = set()
            if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
                self._size += os.write(self._file, b"\n")

    def _rotate(self, path: Path) -> None:
        """Move the files one number up; the oldest is replaced."""
        self._let_go()
        for i in range(self._options.keep - 1, 0, -1):
            older = Path(f"{path}.{i}")
            if older.exists():
                older.replace(f"{path}.{i + 1}")
        if self._options.keep > 0:
            path.replace(f"{path}.1")
        else:
            path.unlink()

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file, self._size, self._in_file = None, 0, set()

    def _failed(self, exc: OSError) -> None:
        self.errors += 1
        self.last_error = f"{exc.strerror or exc}: {self.path}"
        self._let_go()


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.stem}{suffix}{path.suffix}")
