from pathlib import Path

import pytest

from router_models.__main__ import main
from router_models.commands.report import FAMILY
from router_models.routers.registry import FITTERS


def test_every_router_that_needs_nothing_from_outside_is_in_the_report():
    assert set(FITTERS) - set(FAMILY) == {"constant", "dense", "length", "logistic", "random"}


def test_missing_data_is_one_line_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recipe = Path(__file__).parents[4] / "config" / "routers" / "default.yaml"
    assert main(["report", "--config", str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "o"), "--only", "labels"]) == 2
    assert "cannot be read" in capsys.readouterr().err
