"""`sluice store check`: one line a finding, and an exit status for scripts."""

import argparse
from typing import Any

import pytest

from gateway.commands import store
from gateway.edges.store.checkup import Finding, Level


def call(*words: str) -> int:
    parser = argparse.ArgumentParser()
    store.add_arguments(parser)
    return store.run(parser.parse_args(words))


def test_a_server_that_is_not_there_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", "redis://127.0.0.1:1") == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("PROBLEM  connection")
    assert said[-1] == "1 problem"


def test_a_url_that_is_none_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("check", "http://h") == 2
    assert "scheme 'http' is none of" in capsys.readouterr().err


def test_warnings_are_no_problem(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_: Any) -> list[Finding]:
        return [Finding(Level.OK, "version", "Valkey 9"), Finding(Level.WARNING, "memory", "soon full", "raise it")]

    monkeypatch.setattr(store, "inspect_store", found)
    assert call("check", "redis://h") == 0
    assert capsys.readouterr().out == "ok       version      Valkey 9\nwarning  memory       soon full; raise it\nno problems\n"
