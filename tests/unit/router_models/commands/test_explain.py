from pathlib import Path

import pytest

from router_models.__main__ import main
from router_models.table import ScoreTable

QUESTION = "Which statute of limitations applies to a civil claim?\nA. One\nB. Two\nC. Three\nD. Four\nAnswer:"


def test_explain_prints_qualities_win_rate_and_the_features_that_moved_them(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "--top", "3", QUESTION]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("quality of gpt-4") and "win rate" in lines[2]
    assert "difference" in lines[3] and len(lines) == 7


def test_explain_says_when_a_prompt_is_out_of_domain(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "def f(x):\n    return {x: [1, 2]}\n\n\n" * 5]) == 0
    assert "out of domain" in capsys.readouterr().out


def test_a_router_without_features_says_so(tmp_path: Path, table: ScoreTable, capsys: pytest.CaptureFixture[str]):
    rows = "\n".join(f'"{p}",{s},{w}' for p, (s, w) in zip(table.prompts, table.scores.tolist()))
    (tmp_path / "d.csv").write_text("prompt,score.s,score.w\n" + rows + "\n")
    common = ["--data", str(tmp_path / "d.csv"), "--strong", "s", "--weak", "w", "--out", str(tmp_path / "a")]
    assert main(["train", "--kind", "length", *common]) == 0
    assert main(["explain", "--artifact", str(tmp_path / "a"), "hello"]) == 0
    assert "cannot split its answer" in capsys.readouterr().out
