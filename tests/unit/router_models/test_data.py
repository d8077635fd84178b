import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from router_models.data import DataError, read_scores


def write(path: Path, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(
        tmp_path / "d.parquet",
        prompt=["a", "b", "c", "d"],
        group=["x", None, "y", "y"],
        bad=[False, False, True, False],
        **{"score.s": [1.0, 0.0, 1.0, None], "score.w": [0.0, 0.5, 1.0, 1.0]},
    )


def test_columns_follow_the_order_of_the_models_asked_for(file: Path):
    table = read_scores(file, ["w", "s"]).table
    assert table.models == ("w", "s") and table.scores.tolist() == [[0.0, 1.0], [0.5, 0.0], [1.0, 1.0]]
    assert list(table.groups) == ["x", "", "y"]


def test_what_is_left_out_is_counted_with_its_reason(file: Path):
    loaded = read_scores(file, ["s", "w"], drop_where="bad")
    assert list(loaded.table.prompts) == ["a", "b"]
    assert loaded.dropped == (("bad is true", 1), ("a score is missing", 1))
    assert loaded.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_missing_model_is_answered_with_the_models_there_are(file: Path):
    with pytest.raises(DataError, match=r"score\.gpt.*models in it: \['s', 'w'\]"):
        read_scores(file, ["gpt", "w"])


def test_a_score_out_of_range_names_its_row(tmp_path: Path):
    path = write(tmp_path / "d.parquet", prompt=["a", "b"], **{"score.s": [1.0, 1.5], "score.w": [0.0, 0.0]})
    with pytest.raises(DataError, match="row 1 has a score outside"):
        read_scores(path, ["s", "w"])


def test_a_file_that_is_no_parquet_or_has_no_complete_row_is_refused(tmp_path: Path):
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(DataError, match="cannot be read"):
        read_scores(tmp_path / "x.parquet", ["s", "w"])
    path = write(tmp_path / "d.parquet", prompt=["a"], **{"score.s": pa.array([None], pa.float64()), "score.w": [0.0]})
    with pytest.raises(DataError, match="no row"):
        read_scores(path, ["s", "w"])
