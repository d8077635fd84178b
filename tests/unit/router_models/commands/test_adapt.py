from pathlib import Path

import pytest

from router_models.__main__ import main
from router_models.artifact import load, save
from router_models.recipe import Recipe
from router_models.table import ScoreTable
from router_models.train import train


@pytest.fixture
def trained(tmp_path: Path, table: ScoreTable) -> Path:
    made = train(Recipe("logistic", {"buckets_log2": 9, "orders": [4]}), table, [], lambda _: None)
    save(tmp_path / "old", made.card, made.router.arrays())
    return tmp_path / "old"


def labels(path: Path, table: ScoreTable, rows: int) -> Path:
    # The other traffic turns the world round: what was hard for the weak model is easy now, and its models have other names.
    lines = [f'"Now: {p}",{s},{1 - w}' for p, (s, w) in zip(table.prompts[:rows], table.scores[:rows].tolist())]
    path.write_text("prompt,score.big,score.small\n" + "\n".join(lines) + "\n")
    return path


def test_labels_of_other_traffic_turn_the_router_round_and_the_new_artifact_loads(
    trained: Path, tmp_path: Path, table: ScoreTable, capsys: pytest.CaptureFixture[str]
):
    file, out = labels(tmp_path / "l.csv", table, 400), tmp_path / "new"
    arguments = ["adapt", "--artifact", str(trained), "--labels", str(file), "--strong", "big", "--weak", "small", "--out", str(out)]
    assert main([*arguments, "--licence", "MIT"]) == 0
    assert "with 400 labels" in capsys.readouterr().out
    new = load(out)
    assert new.card.models == ("big", "small") and new.card.data[-1].licence == "MIT"
    assert new.card.recipe["options"]["adapted_from"] == load(trained).card.artifact_id
    asked = "Now: Question 123: tell me about the {} of number 456, please?"
    easy, hard = new.router.quality([asked.format("lunch"), asked.format("theorem")])
    assert easy[0] - easy[1] > hard[0] - hard[1]
    assert set(load(trained).card.stems.tolist()) < set(new.card.stems.tolist())


def test_too_few_labels_and_routers_without_heads_are_refused(
    trained: Path, tmp_path: Path, table: ScoreTable, capsys: pytest.CaptureFixture[str]
):
    names = ["--strong", "big", "--weak", "small", "--out", str(tmp_path / "o")]
    assert main(["adapt", "--artifact", str(trained), "--labels", str(labels(tmp_path / "s.csv", table, 20)), *names]) == 2
    assert "at least 50" in capsys.readouterr().err
    made = train(Recipe("length"), table, [], lambda _: None)
    save(tmp_path / "length", made.card, made.router.arrays())
    assert main(["adapt", "--artifact", str(tmp_path / "length"), "--labels", str(labels(tmp_path / "m.csv", table, 90)), *names]) == 2
    assert "cannot be adapted" in capsys.readouterr().err
