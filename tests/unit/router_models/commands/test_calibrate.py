import re
from pathlib import Path

import pytest

from router_models.__main__ import main
from router_models.artifact import builtin
from router_models.card import win_rates


def test_the_threshold_gives_the_share_on_the_cards_sample(capsys: pytest.CaptureFixture[str]):
    assert main(["calibrate", "--strong-share", "0.3"]) == 0
    found = re.search(r"threshold = ([0-9.]+)", capsys.readouterr().out)
    card = builtin().card
    assert found and float((win_rates(card, card.sample) >= float(found[1]) - 1e-6).mean()) == pytest.approx(0.3, abs=0.005)


def test_prompts_of_your_own_set_another_threshold(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = [f'"{"long " * n}"' for n in range(1, 101)]
    (tmp_path / "p.csv").write_text("prompt\n" + "\n".join(lines) + "\n")
    assert main(["calibrate", "--strong-share", "0.5", "--data", str(tmp_path / "p.csv")]) == 0
    assert "p.csv (100 prompts)" in capsys.readouterr().out


def test_an_impossible_share_is_refused(capsys: pytest.CaptureFixture[str]):
    assert main(["calibrate", "--strong-share", "30"]) == 2
    assert "0..1" in capsys.readouterr().err
