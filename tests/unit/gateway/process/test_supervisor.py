"""From a command line to an exit status; a real process where signals and its parent's end are needed."""

import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.process.supervisor import USAGE, supervise

TEXT = """
auth: none
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0", token: t}
store: {url: memory}
models:
  - name: only
    tariff: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}
    context_tokens: 1000
    backends: [{url: "http://127.0.0.1:1/v1", model: m}]
routes: [{name: auto, models: [only]}]
classes: [{name: standard, value: 1, ttft_deadline: 30s}]
"""


def test_mistakes_of_the_configuration_are_said_line_by_line(tmp_path):
    path, said = tmp_path / "bad.yaml", []
    path.write_text("modle: enforce\nsrever: {}\n")
    assert supervise(str(path), {}, said.append) == USAGE
    assert len(said) >= 2 and all(line.startswith(f"{path}:") for line in said)


def test_a_start_that_is_refused_is_one_line(tmp_path):
    path, said = tmp_path / "sluice.yaml", []
    path.write_text(TEXT.replace("{url: memory}", f"{{url: embedded, directory: {tmp_path / ('d' * 120)}}}"))
    assert supervise(str(path), {}, said.append) == USAGE
    assert len(said) == 1 and said[0].startswith("sluice: ")


@pytest.fixture
def process(tmp_path):
    path = tmp_path / "sluice.yaml"
    path.write_text(TEXT)
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(path), "--guard"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path.cwd())
    assert child.stdout is not None and select.select([child.stdout], [], [], 60)[0]
    assert child.stdout.readline().startswith(b"ready http://127.0.0.1:")
    yield child
    child.kill()
    child.wait(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(process, number):
    process.send_signal(number)
    assert process.wait(20) == 0


def test_it_ends_when_its_parents_pipe_closes(process):
    process.stdin.close()
    assert process.wait(20) == 0
