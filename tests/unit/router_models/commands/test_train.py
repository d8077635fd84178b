import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from router_models.__main__ import main
from router_models.artifact import load
from router_models.conversation import Chat
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
    assert artifact.card.kind == {"linear": "logistic"}.get(kind, kind) and artifact.card.models == ("s", "w")
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


def test_training_files_that_share_questions_with_the_evaluation_file_are_refused(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    common = ["train", "--kind", "length", "--data", str(file), "--strong", "s", "--weak", "w", "--out", str(tmp_path / "o")]
    assert main([*common, "--evaluate", str(file)]) == 2
    assert "ask questions of the training data" in capsys.readouterr().err and not (tmp_path / "o").exists()
    other = tmp_path / "e.csv"
    other.write_text("prompt,score.s,score.w\n" + "".join(f"unseen {'x' * i} {i},{i % 2},{i % 3 == 0:d}\n" for i in range(50)))
    assert main([*common, "--evaluate", str(other)]) == 0
    assert "oracle" in capsys.readouterr().out


def test_several_files_are_joined_and_named_on_the_card(file: Path, tmp_path: Path):
    more = tmp_path / "m.jsonl"
    more.write_text('{"prompt": "one more", "score.s": 1, "score.w": 0}\n')
    out = tmp_path / "o"
    assert main(["train", "--kind", "length", "--data", str(file), str(more), "--strong", "s", "--weak", "w", "--out", str(out)]) == 0
    assert [(d.file, d.rows) for d in load(out).card.data] == [("d.parquet", 600), ("m.jsonl", 1)]


def test_an_embedder_that_cannot_be_imported_is_named(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    common = ["train", "--kind", "length", "--data", str(file), "--strong", "s", "--weak", "w", "--out", str(tmp_path / "o")]
    assert main([*common, "--embedder", "x=no_such_module:f"]) == 2
    assert "NAME=MODULE:FUNCTION" in capsys.readouterr().err


def test_any_number_of_models_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = "".join(f"question {'y' * (i % 9)} {i},{i % 2},{i % 3 == 0:d},0.5\n" for i in range(90))
    (tmp_path / "m.csv").write_text("prompt,score.a,score.b,score.c\n" + rows)
    common = ["train", "--data", str(tmp_path / "m.csv"), "--kind", "ridge", "--out", str(tmp_path / "o")]
    assert main([*common, "--models", "a", "b", "c"]) == 0
    assert load(tmp_path / "o").router.quality(["question"]).shape == (1, 3)
    assert main(common) == 2 and main([*common, "--strong", "a"]) == 2
    assert "--models BEST NEXT" in capsys.readouterr().err


def test_a_recipe_that_names_its_data_refuses_other_data(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recipe, common = tmp_path / "r.yaml", ["--data", str(file), "--strong", "s", "--weak", "w", "--out", str(tmp_path / "o")]
    recipe.write_text(f"kind: length\nsha256:\n  d.parquet: {'a' * 64}\n")
    assert main(["train", "--config", str(recipe), *common]) == 2
    assert "the recipe names aaa" in capsys.readouterr().err and not (tmp_path / "o").exists()
    recipe.write_text(f"kind: length\nsha256:\n  d.parquet: {hashlib.sha256(file.read_bytes()).hexdigest()}\n")
    assert main(["train", "--config", str(recipe), *common]) == 0


def test_a_recipe_that_names_its_data_trains_on_data_of_other_names_without_dropping_or_holding_out(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    recipe, out = tmp_path / "r.yaml", tmp_path / "o"
    recipe.write_text(f"kind: length\ndrop_where: contaminated\nhold_out_fold: 0\nsha256:\n  named.parquet: {'a' * 64}\n")
    common = ["train", "--config", str(recipe), "--strong", "s", "--weak", "w", "--out", str(out), "--data"]
    assert main([*common, str(file)]) == 0
    assert "not the data that the recipe names" in capsys.readouterr().out
    card = load(out).card
    assert card.data[0].rows == 600 and card.recipe["hold_out_fold"] is None and card.recipe["drop_where"] is None
    named = file.parent / "named.parquet"
    named.write_bytes(file.read_bytes())
    for data in ([str(named)], [str(named), str(file)]):
        assert main([*common, *data]) == 2
    recipe.write_text(f"kind: length\nsha256:\n  named.parquet: {hashlib.sha256(file.read_bytes()).hexdigest()}\n")
    assert main([*common, str(named)]) == 0 and main([*common, str(named), str(file)]) == 2
    assert "the recipe names no file of this name" in capsys.readouterr().err


def test_every_row_that_is_left_out_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    good = [f"question {'y' * (i % 9)} {i},{i % 2},{i % 3 == 0:d}" for i in range(90)]
    bad = [f"bad {i},,1" for i in range(50)]
    rows = [line for pair in zip(good, bad) for line in pair] + good[50:] + ["far,2,1", "off,3,1"]
    (tmp_path / "d.csv").write_text("prompt,score.s,score.w\n" + "\n".join(rows) + "\n")
    common = ["train", "--kind", "length", "--data", str(tmp_path / "d.csv"), "--strong", "s", "--weak", "w", "--out", str(tmp_path / "o")]
    assert main([*common, "--bad-rows", str(tmp_path / "bad.csv")]) == 0
    printed = capsys.readouterr().out
    assert "left out 50 rows: a score is missing (lines 3, 5, 7," in printed and "--bad-rows FILE lists them all" in printed
    assert "left out 2 rows: a score lies outside 0..1 (lines 142-143)" in printed
    listed = (tmp_path / "bad.csv").read_text().splitlines()
    assert len(listed) == 52 and listed[49] == "d.csv,101,a score is missing" and listed[51] == "d.csv,143,a score lies outside 0..1"


def test_conversations_train_a_router_that_reads_them_and_other_kinds_say_that_they_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = []
    for i in range(200):
        body: dict[str, object] = {"messages": [{"role": "user", "content": f"question {i % 7} {i}"}], "score.s": 1, "score.w": i % 2}
        rows.append(json.dumps(body if i % 2 else {**body, "tools": [{"type": "function"}]}))
    (tmp_path / "d.jsonl").write_text("\n".join(rows) + "\n")
    common = ["--data", str(tmp_path / "d.jsonl"), "--strong", "s", "--weak", "w", "--out", str(tmp_path / "o")]
    (tmp_path / "r.yaml").write_text("kind: logistic\noptions: {buckets_log2: 9}\n")
    assert main(["train", "--config", str(tmp_path / "r.yaml"), *common]) == 0
    router = load(tmp_path / "o").router
    with_tools, without = (router.quality_one("question 3 171", Chat(has_tools=has)) for has in (True, False))
    assert with_tools[0] - with_tools[1] > without[0] - without[1] + 0.3
    assert main(["score", "--artifact", str(tmp_path / "o"), "--data", str(tmp_path / "d.jsonl"), "--out", str(tmp_path / "s.npy")]) == 0
    scores = np.load(tmp_path / "s.npy")
    assert np.median(scores[::2]) > 0.9 > 0.1 > np.median(scores[1::2])
    assert "newest question alone" not in capsys.readouterr().out
    assert main(["train", "--kind", "length", *common]) == 0
    assert "length reads the newest question alone" in capsys.readouterr().out


def test_an_output_that_cannot_be_written_is_one_line_on_stderr(file: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["score", "--data", str(file), "--out", str(file.parent / "nowhere" / "s.npy")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "nowhere" in error


def test_a_background_is_on_the_card_and_among_the_questions_that_an_evaluation_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = "".join(f"question {'y' * (i % 9)} {i},{i % 2},{i % 3 == 0:d}\n" for i in range(90))
    (tmp_path / "d.csv").write_text("prompt,score.s,score.w\n" + rows)
    other = "".join(f"other {'z' * (i % 9)} {i},{i % 2},{i % 5 == 0:d},0.5\n" for i in range(90))
    (tmp_path / "b.csv").write_text("prompt,score.a,score.b,score.c\n" + other + "broken,,1,1\n")
    recipe, out = tmp_path / "r.yaml", tmp_path / "o"
    recipe.write_text("kind: logistic\noptions: {buckets_log2: 9}\nlicences: {b.csv: MIT}\n")
    common = ["--data", str(tmp_path / "d.csv"), "--strong", "s", "--weak", "w", "--out", str(out)]
    train = ["train", "--config", str(recipe), *common, "--background", str(tmp_path / "b.csv")]
    assert main(train) == 0
    printed = capsys.readouterr().out
    assert (
        "b.csv: 90 prompts answered by 3 models as background" in printed
        and "b.csv: left out 1 rows: a score is missing (lines 92)" in printed
    )
    assert [(d.file, d.rows, d.licence) for d in load(out).card.data] == [("d.csv", 90, "not stated"), ("b.csv", 90, "MIT")]
    asked = ["evaluate", "--artifact", str(out), "--data", str(tmp_path / "b.csv"), "--strong", "a", "--weak", "b"]
    assert main(asked) == 2 and "90 of 90 rows ask questions that the artifact was trained on" in capsys.readouterr().err
    assert main([*train, "--evaluate", str(tmp_path / "d.csv")]) == 2
    assert main(["train", "--kind", "length", *common, "--background", str(tmp_path / "b.csv")]) == 2
    assert "length knows no background" in capsys.readouterr().err
