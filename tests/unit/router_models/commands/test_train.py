from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from router_models.__main__ import main
from router_models.artifact import load
from router_models.table import ScoreTable


@pytest.fixture
def file(tmp_path: Path, table: ScoreTable) -> Path:
    path = tmp_path / "d.parquet"
    columns = {"prompt": list(table.prompts), "score.s": table.scores[:, 0], "score.w": table.scores[:, 1]}
    parquet.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("kind", ["constant", "length", "linear"])
def test_training_writes_an_artifact_that_loads(file: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    assert (
        main(["train", "--kind", kind, "--data", str(file), "--strong", "s", "--weak", "w", "--out", str(out), "--hold-out-fold", "0"]) == 0
    )
    artifact = load(out)
    assert artifact.card.kind == kind and artifact.card.models == ("s", "w")
    printed = capsys.readouterr().out
    assert artifact.card.short_id in printed and "fold 0 is held out" in printed
    assert artifact.card.data[0].rows < 600 and artifact.card.data[0].licence == "not stated"


def test_a_recipe_and_a_kind_together_or_neither_are_refused(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    common = ["train", "--data", str(file), "--strong", "s", "--weak", "w", "--out", str(tmp_path / "o")]
    assert main(common) == 2
    assert "either --config" in capsys.readouterr().err


def test_an_unknown_model_is_one_line_on_stderr(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "--kind", "length", "--data", str(file), "--strong", "x", "--weak", "w", "--out", str(tmp_path / "o")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "models in it" in error
