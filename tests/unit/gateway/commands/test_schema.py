"""Tests of `sluice schema`."""

import argparse
import json
from pathlib import Path

import pytest

from gateway.commands import schema


def sluice_schema(*words: str) -> int:
    parser = argparse.ArgumentParser()
    schema.add_arguments(parser)
    return schema.run(parser.parse_args(words))


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice_schema() == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"models", "routes", "slos"} <= set(printed["properties"])
    assert printed["additionalProperties"] is False


def test_the_schema_is_written_where_it_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice_schema("--out", str(tmp_path / "s.json")) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "s.json").read_text())["title"] == "Sluice configuration"


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice_schema("--out", str(tmp_path / "none" / "s.json")) == 1
    assert "cannot be written" in capsys.readouterr().out
