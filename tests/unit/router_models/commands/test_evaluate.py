import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from router_models.__main__ import main
from router_models.artifact import builtin
from router_models.table import ScoreTable

DATA = Path(os.environ.get("SLUICE_DATA", "missing")) / "routing"


def test_evaluate_prints_the_builtin_beside_the_baselines(tmp_path: Path, table: ScoreTable, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "d.parquet"
    columns = {"prompt": list(table.prompts), "score.s": table.scores[:, 0], "score.w": table.scores[:, 1]}
    parquet.write_table(pa.table({**columns, "group": list(table.groups)}), path)
    assert main(["evaluate", "--data", str(path), "--strong", "s", "--weak", "w"]) == 0
    printed = capsys.readouterr().out
    for name in (builtin().card.kind, "group table", "length", "random", "oracle", "win rate: mean"):
        assert name in printed


@pytest.mark.skipif(not DATA.is_dir(), reason="SLUICE_DATA is not set")
def test_the_builtin_beats_a_coin_on_the_fold_it_never_saw(capsys: pytest.CaptureFixture[str]):
    file = DATA / "routellm_mmlu_public80.parquet"
    assert main(["evaluate", "--data", str(file), "--fold", "0", "--drop-where", "routellm_excluded"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(builtin().card.kind + "  "))
    assert float(line.split()[1]) > 0.62


def test_questions_of_the_training_data_are_refused_or_left_out(tmp_path: Path, table: ScoreTable, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "d.parquet"
    columns = {"prompt": list(table.prompts), "score.s": table.scores[:, 0], "score.w": table.scores[:, 1]}
    parquet.write_table(pa.table(columns), path)
    out, names = str(tmp_path / "a"), ["--strong", "s", "--weak", "w"]
    assert main(["train", "--kind", "length", "--data", str(path), *names, "--hold-out-fold", "0", "--out", out]) == 0
    assert main(["evaluate", "--artifact", out, "--data", str(path)]) == 2
    assert "that the artifact was trained on" in capsys.readouterr().err
    assert main(["evaluate", "--artifact", out, "--data", str(path), "--unseen-only"]) == 0
    assert main(["evaluate", "--artifact", out, "--data", str(path), "--fold", "0"]) == 0
    assert main(["evaluate", "--artifact", out, "--data", str(path), "--fold", "1", "--unseen-only"]) == 2


def test_many_models_with_costs_stand_beside_the_zero_router_and_the_oracle(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # a is good at red and dear, b is good at blue and cheap, c is bad: knowing the colour is worth something.
    rows = [
        {"prompt": f"{colour} question {i}", "score.a": red, "score.b": 1 - red, "score.c": 0, "cost.a": 3.0, "cost.b": 1.0, "cost.c": 0.5}
        for i in range(120)
        for colour, red in (("red", 1), ("blue", 0))
    ]
    for name, part in (("train", rows[:160]), ("test", rows[160:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    recipe, out = tmp_path / "r.yaml", str(tmp_path / "o")
    recipe.write_text("kind: ridge\noptions: {buckets_log2: 9}\n")
    data = ["--data", str(tmp_path / "train.jsonl"), "--models", "a", "b", "c", "--out", out]
    assert main(["train", "--config", str(recipe), *data]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--artifact", out, "--data", str(tmp_path / "test.jsonl"), "--costs"]) == 0
    printed = capsys.readouterr().out.splitlines()
    aiq = {line[:22].strip(): float(line[22:30]) for line in printed if line[:22].strip() in ("ridge", "zero router", "oracle")}
    assert aiq["zero router"] + 0.1 < aiq["ridge"] <= aiq["oracle"]
