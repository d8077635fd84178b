from pathlib import Path

import numpy as np
import pytest

from router_models.__main__ import main
from router_models.artifact import builtin


def test_scores_are_float64_win_rates_in_row_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    prompts = ["What is 2 + 2?", "", "Explain the second law of thermodynamics in detail."]
    (tmp_path / "p.csv").write_text("prompt\n" + "\n".join(f'"{p}"' for p in prompts) + "\n")
    assert main(["score", "--data", str(tmp_path / "p.csv"), "--out", str(tmp_path / "s.npy")]) == 0
    found = np.load(tmp_path / "s.npy", allow_pickle=False)
    artifact = builtin()
    expected = [artifact.card.win_rate(q[0] - q[1]) for q in map(artifact.router.quality_one, prompts)]
    assert found.dtype == np.float64 and found.tolist() == expected
    assert "3 win rates" in capsys.readouterr().out


def test_a_row_without_a_prompt_is_refused_because_the_order_would_be_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n{"other": 1}\n')
    assert main(["score", "--data", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "s.npy")]) == 2
    assert "p.jsonl:2: prompt is missing" in capsys.readouterr().err and not (tmp_path / "s.npy").exists()
