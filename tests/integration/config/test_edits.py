"""A configuration on a real file system, edited by other processes while it is watched."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.config.errors import ConfigErrors
from gateway.config.load import Config, load
from gateway.config.watch import Watcher

POLL_S = 0.02
"""Ten times faster than the gateway polls, so that the tests are short."""

CONFIG = """\
models:
  - name: only
    tariff: {{input_usd_per_mtok: 1, output_usd_per_mtok: 2}}
    context_tokens: {tokens}
    backends: [{{url: "http://127.0.0.1:8000/v1", model: m, api_key: "${{file:{key}}}"}}]
routes: [{{name: auto, models: [only]}}]
auth: none
# {tokens}
"""

WRITE_SLOWLY = """
import sys, time
content = open(sys.argv[2], "rb").read()
with open(sys.argv[1], "wb", buffering=0) as file:
    for i in range(0, len(content), 20):
        file.write(content[i : i + 20])
        time.sleep(0.004)
"""

RENAME_FOR_EVER = """
import os, sys
for tokens in range(1, 400):
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(open(sys.argv[2]).read().replace("TOKENS", str(tokens)))
    os.replace(sys.argv[1] + ".new", sys.argv[1])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("one\n")
    (tmp_path / "sluice.yaml").write_text(text(tmp_path, 1))
    return tmp_path


def text(folder: Path, tokens: int | str) -> str:
    return CONFIG.format(tokens=tokens, key=folder / "key")


def wait_for(found: Callable[[], bytes | None], seconds: float = 5.0) -> bytes | None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (content := found()) is not None:
            return content
        time.sleep(POLL_S)
    return None


@pytest.fixture
def process() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str, *words: object) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", code, *map(str, words)]))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


def test_a_file_that_is_written_slowly_is_taken_when_it_is_whole(folder: Path, process: Callable[..., subprocess.Popen[bytes]]) -> None:
    file = folder / "sluice.yaml"
    (folder / "source").write_text(text(folder, 777))
    watcher = Watcher(file)
    process(WRITE_SLOWLY, file, folder / "source")
    content = wait_for(watcher.changed)
    assert content is not None
    assert load(file, {}, content).catalog.models["only"].context_tokens == 777


def test_whatever_is_taken_from_a_file_that_is_renamed_over_all_the_time_is_whole(
    folder: Path, process: Callable[..., subprocess.Popen[bytes]]
) -> None:
    file = folder / "sluice.yaml"
    (folder / "source").write_text(text(folder, "TOKENS"))
    watcher = Watcher(file)
    writer = process(RENAME_FOR_EVER, file, folder / "source")
    taken = []
    while writer.poll() is None:
        if (content := watcher.changed()) is not None:
            taken.append(load(file, {}, content).catalog.models["only"].context_tokens)
    last = wait_for(watcher.changed, 0.2)
    if last is not None:
        taken.append(load(file, {}, last).catalog.models["only"].context_tokens)
    assert taken[-1] == 399
    assert taken == sorted(set(taken))


def test_a_config_map_swap_and_a_rotated_secret_take_effect(folder: Path) -> None:
    for version, tokens in (("..v1", 10), ("..v2", 20)):
        (folder / version).mkdir()
        (folder / version / "sluice.yaml").write_text(text(folder, tokens))
    (folder / "..data").symlink_to("..v1")
    (folder / "mounted.yaml").symlink_to("..data/sluice.yaml")
    watcher = Watcher(folder / "mounted.yaml")
    assert key_of(load(folder / "mounted.yaml", {})) == "one"

    (folder / "..tmp").symlink_to("..v2")
    (folder / "..tmp").rename(folder / "..data")
    content = wait_for(watcher.changed)
    swapped = load(folder / "mounted.yaml", {}, content)
    assert swapped.catalog.models["only"].context_tokens == 20

    (folder / "key").write_text("two\n")
    rotated = load(folder / "mounted.yaml", {}, wait_for(watcher.changed))
    assert key_of(rotated) == "two"
    assert rotated.hash == swapped.hash  # A rotated secret is no other configuration.


def key_of(config: Config) -> str:
    key = config.catalog.models["only"].backends[0].api_key
    assert key is not None
    return key.reveal()


def test_an_invalid_edit_is_reported_once_and_its_repair_is_taken(folder: Path) -> None:
    file = folder / "sluice.yaml"
    watcher = Watcher(file)
    file.write_text(text(folder, 5).replace("tariff", "tarif"))
    with pytest.raises(ConfigErrors, match="did you mean 'tariff'"):
        load(file, {}, wait_for(watcher.changed))
    assert wait_for(watcher.changed, 5 * POLL_S) is None
    file.write_text(text(folder, 6))
    assert load(file, {}, wait_for(watcher.changed)).catalog.models["only"].context_tokens == 6


def test_the_demos_configuration_loads_from_a_working_directory_with_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").exists()) / "config" / "sluice.yaml"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigErrors, match=r"admin\.token: file '\.sluice/admin-token' cannot be read"):
        load(shipped, os.environ)
    (tmp_path / ".sluice").mkdir()
    (tmp_path / ".sluice" / "admin-token").write_text("t0ken\n")
    token = load(shipped, os.environ).admin.token
    assert token is not None and token.reveal() == "t0ken"


def test_a_poll_of_an_ordinary_file_costs_little(folder: Path) -> None:
    watcher = Watcher(folder / "sluice.yaml")
    start = time.perf_counter()
    for _ in range(200):
        watcher.changed()
    assert (time.perf_counter() - start) / 200 < 0.002  # 0.03 ms measured; it runs five times a second in the event loop.
