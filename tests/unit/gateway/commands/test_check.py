"""Tests of `sluice check`."""

import argparse
from pathlib import Path

import pytest
import yaml

from gateway.commands import check

RIGHT = """\
models:
  - name: only
    tariff: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}
    context_tokens: 1000
    backends: [{url: "http://a:8000/v1", model: m, api_key: "${SLUICE_TEST_KEY}"}]
routes: [{name: auto, models: [only]}]
auth: none
"""


def sluice_check(*words: str) -> int:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(words))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLUICE_TEST_KEY", "hunter2")
    path = tmp_path / "sluice.yaml"
    path.write_text(RIGHT)
    return path


def test_a_right_file_is_one_line_with_counts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice_check(str(file)) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{file}: OK (1 model, 1 backend, 1 route, 0 SLOs, 1 class, 1 tenant; law shadow_price, mode enforce, hash ")
    assert out.count("\n") == 1


def test_every_mistake_is_a_line_and_the_status_is_one(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(RIGHT + "mode: observ\nserver: {idle: 5}\n")
    assert sluice_check(str(file)) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{file}:8:7 mode: 'observ' is not known here, did you mean 'observe'?"
    assert out[1].startswith(f"{file}:9:16 server.idle: a duration without unit")
    assert out[2:] == [f"{file}: 2 errors"]


def test_effective_shows_defaults_and_no_secret(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice_check(str(file), "--effective") == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    written = yaml.safe_load(out)
    assert written["models"][0]["backends"][0]["api_key"] == "***"
    assert written["server"]["listen"] == "127.0.0.1:8080"


def test_effective_of_a_bad_file_is_its_errors(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("")
    assert sluice_check(str(file), "--effective") == 1
    assert "the file is empty" in capsys.readouterr().out
