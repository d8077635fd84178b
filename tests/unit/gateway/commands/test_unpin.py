"""`sluice unpin`: what it asks of the gateway."""

import argparse
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from gateway.commands import unpin

Run = Callable[[ModuleType], Callable[..., int]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    changes: list[Mapping[str, Any]] = []

    def send(_args: argparse.Namespace, change: Mapping[str, Any], _done: str) -> int:
        changes.append(change)
        return 0

    monkeypatch.setattr(unpin, "send", send)
    return changes


def test_one_route_or_everything_is_taken_back(verb: Run, asked: list[Mapping[str, Any]]) -> None:
    assert verb(unpin)("auto") == 0
    assert verb(unpin)("--all") == 0
    assert asked == [{"verb": "unpin", "route": "auto"}, {"verb": "unpin", "route": None}]


@pytest.mark.parametrize("arguments", [[], ["auto", "--all"]])
def test_it_must_be_said_which(verb: Run, asked: list[Mapping[str, Any]], arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        verb(unpin)(*arguments)
    assert asked == []
