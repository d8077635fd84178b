"""What an embedded server refuses before it starts one; the real server's life is in `tests/integration/store`."""

import fcntl
import os
from pathlib import Path

import pytest

from gateway.edges.store import embedded
from gateway.edges.store.embedded import EmbeddedRefused
from gateway.edges.store.options import StoreOptions


async def refusal(directory: Path) -> str:
    with pytest.raises(EmbeddedRefused) as raised:
        await embedded.start(StoreOptions(directory=str(directory)))
    said = str(raised.value)
    assert "\n" not in said
    return said


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for a server that cannot start: it says why and ends."""
    path = tmp_path / "broken-server"
    path.write_text('#!/bin/sh\necho "$SAYS"\nexit 9\n')
    path.chmod(0o755)
    monkeypatch.setenv("SLUICE_VALKEY", str(path))
    monkeypatch.setenv("SAYS", "# Fatal: no luck")
    return path


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, program: Path) -> None:
    (tmp_path / "file").touch()
    said = await refusal(tmp_path / "file" / "state")
    assert "cannot be written" in said
    assert "store.directory" in said


async def test_a_directory_without_write_permission_is_named(tmp_path: Path, program: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "state").mkdir(mode=0o500)
    assert "cannot be written" in await refusal(tmp_path / "state")


async def test_a_path_too_long_for_a_socket_is_refused_with_its_length(tmp_path: Path, program: Path) -> None:
    said = await refusal(tmp_path / ("d" * 120))
    assert "choose a shorter one" in said
    assert not (tmp_path / ("d" * 120)).exists()


async def test_a_directory_in_use_is_refused_with_the_holder_and_the_ways_out(tmp_path: Path, program: Path) -> None:
    with (tmp_path / "gateway.lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = await refusal(tmp_path)
    assert "process 4711" in said
    assert "store.url: redis://" in said


async def test_a_server_that_ends_at_once_is_quoted_and_the_directory_is_free_again(tmp_path: Path, program: Path) -> None:
    for _ in range(2):
        said = await refusal(tmp_path)
        assert "status 9" in said
        assert "Fatal: no luck" in said


async def test_a_warning_is_not_taken_for_the_reason(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYS", "# Fatal: no luck\n# WARNING Memory overcommit must be enabled!")
    assert (await refusal(tmp_path)).endswith("# Fatal: no luck")


async def test_a_damaged_file_comes_with_its_way_out(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYS", "# Bad file format reading the append only file")
    assert "valkey-check-aof --fix" in await refusal(tmp_path)
