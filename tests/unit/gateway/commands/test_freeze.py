"""`sluice freeze`: what it asks of the gateway."""

import argparse
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from gateway.commands import freeze

Run = Callable[[ModuleType], Callable[..., int]]


def test_a_freeze_asks_for_a_time_and_nothing_else(verb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Mapping[str, Any], str]] = []

    def send(_args: argparse.Namespace, change: Mapping[str, Any], done: str) -> int:
        asked.append((change, done))
        return 0

    monkeypatch.setattr(freeze, "send", send)
    assert verb(freeze)("--for", "10m") == 0
    assert asked == [({"verb": "freeze", "for_s": 600.0}, "prices are frozen for 10m")]


def test_a_freeze_without_an_end_is_refused(verb: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        verb(freeze)()
    assert "--for" in capsys.readouterr().err
