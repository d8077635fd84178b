"""`sluice export`: files for other tools."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from gateway.commands import export

Run = Callable[[ModuleType], Callable[..., int]]


def test_rules_are_written_for_every_slo_and_know_exempt_classes(verb: Run, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(export)("rules", "--config", config) == 0
    out = capsys.readouterr().out
    names = [group["name"] for group in yaml.safe_load(out)["groups"]]
    assert "sloth-slo-sli-recordings-sluice-availability" in names
    assert "sluice-cost-alerts-spend" in names
    assert 'class!~"batch"' in out


def test_openslo_goes_to_a_file(verb: Run, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "slos.yaml"
    assert verb(export)("openslo", "--config", config, "--out", out) == 0
    assert capsys.readouterr().out == ""
    assert [d["kind"] for d in yaml.safe_load_all(out.read_text())][:3] == ["Service", "DataSource", "SLO"]


def test_a_place_that_cannot_be_written_is_one_line(verb: Run, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(export)("rules", "--config", config, "--out", tmp_path / "no" / "rules.yaml") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_wrong_configuration_is_told_with_its_place(verb: Run, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace("objective:", "objectve:"))
    assert verb(export)("rules", "--config", config) == 1
    assert "did you mean 'objective'" in capsys.readouterr().err


def test_a_secret_file_that_is_not_there_is_no_obstacle(verb: Run, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace("token: admin-token", "token: '${file:/no/such/file}'"))
    assert verb(export)("rules", "--config", config) == 0
    assert "not-there" not in capsys.readouterr().out
