"""`make run` from nothing: starts in seconds, answers, stops cleanly, leaves nothing behind however it ends, refuses in one line."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from load.processes import free_addresses

ROOT = Path(__file__).parents[3]
WAIT_S = 20.0
Start = Callable[..., "subprocess.Popen[str]"]
READY_S = 15.0
"""The promise is 5 s; a machine that also runs other tests is slower."""


@dataclass
class House:
    """A folder with a configuration of its own, on ports of its own."""

    folder: Path
    gateway: str
    admin: str
    strong: str
    weak: str


@pytest.fixture
def house(tmp_path: Path) -> House:
    gateway, admin, strong, weak = free_addresses(4)
    text = (ROOT / "config" / "sluice.yaml").read_text()
    for shipped, ours in (("127.0.0.1:8080", gateway), ("127.0.0.1:8081", admin), ("127.0.0.1:9101", strong), ("127.0.0.1:9102", weak)):
        text = text.replace(shipped, ours)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "sluice.yaml").write_text(text)
    return House(tmp_path, gateway, admin, strong, weak)


def started(demo: "subprocess.Popen[str]") -> str:
    """Read what it says until it is ready."""
    said = ""
    assert demo.stdout is not None
    while "Ctrl-C" not in said:
        line = demo.stdout.readline()
        assert line, (said, demo.stderr.read() if demo.stderr else "")
        said += line
    return said


def chat(address: str) -> dict[str, object]:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "sim_output_tokens": 3}
    request = urllib.request.Request(
        f"http://{address}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        found: dict[str, object] = json.loads(response.read())
        return found


def stray() -> set[Path]:
    """Return temporary directories of stores."""
    return {p for p in Path(tempfile.gettempdir()).iterdir() if "valkey" in p.name or "redis" in p.name}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_answers_and_stops_with_nothing_left(load: Start, left: Any, house: House, number: signal.Signals) -> None:
    before, began_s = stray(), time.monotonic()
    demo = load("demo")
    said = started(demo)
    assert chat(house.gateway)["object"] == "chat.completion"
    assert time.monotonic() - began_s < READY_S
    assert f"http://{house.gateway}/v1" in said
    page = next(word for line in said.splitlines() if line.startswith("Page:") for word in line.split() if word.startswith("http"))
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(page, timeout=5) as response:
        assert response.status == 200
    assert len(left.pids()) >= 5  # demo, gateway, guard, store, two backends
    demo.send_signal(number)
    assert demo.wait(WAIT_S) == 0
    assert left.pids() == []
    assert stray() <= before
    assert not (house.folder / ".sluice" / "store.sock").exists()


def test_a_killed_demo_leaves_no_orphan(load: Start, left: Any, house: House) -> None:
    demo = load("demo")
    started(demo)
    chat(house.gateway)
    demo.kill()
    demo.wait()
    assert left.is_gone_within(12.0), left.pids()


def test_a_killed_gateway_ends_the_demo_with_a_word_and_no_orphan(load: Start, left: Any, house: House) -> None:
    demo = load("demo")
    started(demo)
    (gateway,) = [pid for pid in left.pids() if b"gateway\0serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(gateway, signal.SIGKILL)
    assert demo.wait(WAIT_S) == 2
    assert demo.stderr is not None
    assert "ended by itself" in demo.stderr.read()
    assert left.is_gone_within(12.0), left.pids()


@pytest.mark.parametrize("which", ["gateway", "admin", "strong"])
def test_a_busy_port_is_one_line(load: Start, left: Any, house: House, which: str) -> None:
    address = getattr(house, which)
    host, _, port = address.rpartition(":")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, int(port)))
        taken.listen()
        refused(load("demo"), address)
    assert left.is_gone_within(5.0)


def test_a_second_demo_on_the_same_directory_is_one_line_and_hurts_nobody(load: Start, left: Any, house: House) -> None:
    first = load("demo")
    started(first)
    refused(load("demo"), "another gateway")
    chat(house.gateway)
    first.send_signal(signal.SIGTERM)
    assert first.wait(WAIT_S) == 0


def test_a_missing_store_program_is_one_line(load: Start, left: Any, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_VALKEY", "/nowhere/valkey-server")
    refused(load("demo"), "/nowhere/valkey-server")


def test_another_directory_is_told_where_to_start(load: Start, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    refused(load("demo", cwd=tmp_path / "elsewhere"), "root of the repository")


def refused(demo: "subprocess.Popen[str]", says: str) -> None:
    out, err = demo.communicate(timeout=30)
    assert demo.returncode == 2, (out, err)
    assert says in err
    assert err.strip().count("\n") == 0, err
