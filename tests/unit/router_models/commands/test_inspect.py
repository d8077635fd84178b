from pathlib import Path

import pytest

from router_models.__main__ import main
from router_models.artifact import builtin


def test_inspect_prints_the_card_of_the_builtin_artifact(capsys: pytest.CaptureFixture[str]):
    assert main(["inspect"]) == 0
    printed = capsys.readouterr().out
    card = builtin().card
    for part in (card.artifact_id, *card.models, card.label, card.data[0].sha256, "golden prompts"):
        assert part in printed


def test_inspect_of_something_else_is_one_line_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: cannot read card.json")
