"""Whole runs with real processes: how to start the harness and how to look for what it left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


class Left:
    """What lives of all that was started for a folder: processes that name it in their command line or environment."""

    def __init__(self, folder: Path) -> None:
        self._mark = str(folder).encode()

    def pids(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if state != "Z" and self._mark in told:
                    found.append(int(entry.name))
        return found

    def is_gone_within(self, wait_s: float) -> bool:
        until_s = time.monotonic() + wait_s
        while self.pids():
            if time.monotonic() > until_s:
                return False
            time.sleep(0.05)
        return True


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


@pytest.fixture
def load(tmp_path: Path, left: Left) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start `python -m load ...` in a folder of its own; every process that it starts carries that folder in its environment."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, cwd: Path = tmp_path) -> "subprocess.Popen[str]":
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "SLUICE_TEST_FOLDER": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-m", "load", *words], cwd=cwd, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    assert left.is_gone_within(15.0), left.pids()
