"""Prompts: the question whole in the user's message, the length from the trace, the fold that nobody trained on."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.prompts import MMLU, Prompts, PromptsError, Question, generated, held_out, open_prompts, padded
from router_models.split import fold

DATA = Path(os.environ.get("SLUICE_DATA", "nowhere"))
needs_data = pytest.mark.skipif(not (DATA / MMLU).is_file(), reason="SLUICE_DATA names no folder with the MMLU file")


@given(st.text(max_size=300), st.integers(1, 3000), st.integers(0, 10**8))
def test_the_question_is_the_users_message_and_the_rest_makes_up_the_length(text: str, prompt_tokens: int, number: int) -> None:
    prompt = padded(Question(text), prompt_tokens, number)
    assert prompt.messages[-1] == {"role": "user", "content": text}
    total = sum(len(m["content"].encode()) for m in prompt.messages)
    assert max(1, round(total / 4)) == prompt.prompt_tokens
    if len(prompt.messages) == 2:
        assert prompt.messages[0]["role"] == "system"
        assert prompt.prompt_tokens == prompt_tokens
        assert total == 4 * prompt_tokens
    else:
        assert prompt_tokens * 4 - len(text.encode()) < 30


def test_padding_differs_from_its_first_line_on() -> None:
    first, second = (padded(Question("Why?"), 500, n).messages[0]["content"] for n in (1, 2))
    assert first[:60] != second[:60]
    assert len(first) == len(second)


def test_every_question_is_asked_once_before_one_is_asked_again() -> None:
    questions = generated(40, np.random.default_rng(1))
    prompts = Prompts(questions, np.random.default_rng(2))
    taken = [prompts.take(10).question for _ in range(80)]
    assert set(taken[:40]) == set(questions)
    assert taken[:40] == taken[40:]
    assert taken[:40] != questions
    again = Prompts(questions, np.random.default_rng(2))
    assert [again.take(10).question for _ in range(40)] == taken[:40]
    with pytest.raises(PromptsError):
        Prompts([], np.random.default_rng(0))


def test_made_up_questions_are_harder_for_the_weak_model_where_they_read_harder() -> None:
    questions = generated(4000, np.random.default_rng(5))
    assert questions == generated(4000, np.random.default_rng(5))
    right = {g: np.mean([q.scores for q in questions if q.group == g], axis=0) for g in ("easy", "hard")}
    assert right["easy"] == pytest.approx([0.92, 0.88], abs=0.03)
    assert right["hard"] == pytest.approx([0.78, 0.42], abs=0.04)
    lengths = {g: [len(q.text) for q in questions if q.group == g] for g in ("easy", "hard")}
    assert max(lengths["easy"]) < np.median(lengths["hard"])
    assert np.ptp(lengths["hard"]) > 500


@needs_data
def test_the_held_out_fifth_is_what_training_leaves_out() -> None:
    pytest.importorskip("pyarrow")
    questions = held_out(DATA)
    assert 2000 < len(questions) < 2500
    assert {fold(q.text) for q in questions[:300]} == {0}
    assert np.mean([q.scores for q in questions], axis=0) == pytest.approx([0.804, 0.679], abs=0.03)
    assert questions[0].group


@needs_data
def test_scenarios_name_their_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("SLUICE_DATA", str(DATA))
    assert open_prompts("mmlu", np.random.default_rng(1)).take(900).prompt_tokens >= 900


def test_missing_data_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SLUICE_DATA", raising=False)
    with pytest.raises(PromptsError, match="set SLUICE_DATA"):
        held_out()
    with pytest.raises(PromptsError, match=r"routellm_mmlu_public80\.parquet is missing"):
        held_out(tmp_path)
    with pytest.raises(PromptsError, match="none of mmlu, generated"):
        open_prompts("poems", np.random.default_rng(1))
    assert open_prompts("generated", np.random.default_rng(1)).take(5).question.scores
    path = tmp_path / MMLU
    path.parent.mkdir()
    path.write_bytes(b"no parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PromptsError, match=r"needs pyarrow: pip install 'sluicegate\[train\]'"):
        held_out(tmp_path)


def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / MMLU
    path.parent.mkdir()
    path.write_bytes(b"no parquet")
    with pytest.raises(PromptsError, match="cannot be read as Parquet"):
        held_out(tmp_path)
