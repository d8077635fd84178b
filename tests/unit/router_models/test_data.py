import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from router_models.conversation import ALONE, Chat
from router_models.data import BadRow, DataError, model_names, read_requests, read_scores, refuse_leak

ROWS: list[dict[str, Any]] = [
    {"prompt": "a", "group": "x", "bad": False, "score.s": 1.0, "score.w": 0.0},
    {"prompt": "b", "group": None, "bad": False, "score.s": 0.0, "score.w": 0.5},
    {"prompt": "c", "group": "y", "bad": True, "score.s": 1.0, "score.w": 1.0},
    {"prompt": "d", "group": "y", "bad": False, "score.s": None, "score.w": 1.0},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write the same rows as Parquet, JSONL or CSV."""
    names = list(rows[0])
    if path.suffix == ".parquet":
        parquet.write_table(pa.table({name: [row[name] for row in rows] for name in names}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        text = [",".join(names)] + [",".join("" if row[n] is None else str(row[n]) for n in names) for row in rows]
        path.write_text("\n".join(text) + "\n")
    return path


@pytest.fixture(params=["parquet", "jsonl", "csv"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(tmp_path / f"d.{request.param}", ROWS)


def test_every_format_gives_the_same_table_in_the_order_of_the_models_asked_for(file: Path):
    table = read_scores(file, ["w", "s"]).table
    assert table.models == ("w", "s") and table.scores.tolist() == [[0.0, 1.0], [0.5, 0.0], [1.0, 1.0]]
    assert list(table.groups) == ["x", "", "y"] and table.weights is not None and table.weights.tolist() == [1.0] * 3


def test_what_is_left_out_is_reported_with_line_and_reason(file: Path):
    loaded = read_scores(file, ["s", "w"], drop_where="bad")
    header = file.suffix == ".csv"
    assert list(loaded.table.prompts) == ["a", "b"]
    assert loaded.bad == (BadRow(3 + header, "bad is true"), BadRow(4 + header, "a score is missing"))
    assert loaded.dropped() == {"bad is true": 1, "a score is missing": 1}
    assert loaded.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_prompts_alone_keep_the_row_order(file: Path):
    assert read_requests(file) == (["a", "b", "c", "d"], [ALONE] * 4)
    assert model_names(file) == ["s", "w"]


def test_a_missing_model_is_answered_with_the_models_there_are(file: Path):
    with pytest.raises(DataError, match=r"score\.gpt.*models in it: \['s', 'w'\]"):
        read_scores(file, ["gpt", "w"])
    with pytest.raises(DataError, match="no column 'nothing'"):
        read_scores(file, ["s", "w"], drop_where="nothing")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"score.s": 1.5}, "a score lies outside 0..1"),
        ({"score.s": "high"}, "a score is missing"),
        ({"score.s": float("nan")}, "a score is missing"),
        ({"prompt": None}, "prompt is missing"),
        ({"prompt": 3}, "prompt is missing"),
        ({"weight": -1}, "weight is not a positive number"),
        ({"weight": "much"}, "weight is not a positive number"),
    ],
)
def test_a_bad_row_is_left_out_and_said_so(tmp_path: Path, change: dict[str, Any], reason: str):
    loaded = read_scores(write(tmp_path / "d.jsonl", [ROWS[0], {**ROWS[1], **change}]), ["s", "w"])
    assert len(loaded.table) == 1 and loaded.bad == (BadRow(2, reason),)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_the_body_of_a_chat_call_may_stand_in_for_the_prompt(tmp_path: Path, suffix: str):
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "why?"}]
    asked: dict[str, Any] = {"messages": messages, "tools": [{"type": "function"}], "max_tokens": 20}
    alone: dict[str, Any] = {"messages": messages[1:], "tools": None, "max_tokens": None}
    if suffix == "csv":  # no lists there: JSON text, its quotes doubled
        asked, alone = ({key: '"' + json.dumps(row[key]).replace('"', '""') + '"' for key in row} for row in (asked, alone))
    file = write(tmp_path / f"d.{suffix}", [{**row, "score.s": 1.0, "score.w": 0.0} for row in (asked, alone)])
    table = read_scores(file, ["s", "w"]).table
    assert list(table.prompts) == ["why?", "why?"] and table.chats == [Chat(1, 0, len("be brief"), True, 20), ALONE]
    assert read_requests(file) == (["why?", "why?"], table.chats)
    assert table.take(np.array([1])).chats == [ALONE]


def test_lone_questions_have_no_facts_and_broken_messages_are_a_bad_row(tmp_path: Path):
    rows = [{"messages": m, "score.s": 1, "score.w": 0} for m in ([{"role": "user", "content": "q"}], "not JSON", [1], None)]
    loaded = read_scores(write(tmp_path / "d.jsonl", rows), ["s", "w"])
    assert loaded.table.chats is None and [row.line for row in loaded.bad] == [2, 3, 4]
    assert (
        loaded.bad[1].reason == "messages cannot be read (messages is not a list of objects)"
        and loaded.bad[2].reason == "prompt is missing"
    )


def test_preference_pairs_become_scores_of_one_and_zero_and_halves(tmp_path: Path):
    rows = [
        {"prompt": "1", "model_a": "s", "model_b": "w", "winner": "model_a"},
        {"prompt": "2", "model_a": "w", "model_b": "s", "winner": "model_a"},
        {"prompt": "3", "model_a": "w", "model_b": "s", "winner": "s"},
        {"prompt": "4", "model_a": "w", "model_b": "s", "winner": "tie"},
        {"prompt": "5", "model_a": "w", "model_b": "other", "winner": "tie"},
        {"prompt": "6", "model_a": "w", "model_b": "s", "winner": "nobody"},
    ]
    loaded = read_scores(write(tmp_path / "p.csv", rows), ["s", "w"])
    assert loaded.table.scores.tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]
    assert [row.reason for row in loaded.bad] == ["the pair is of other models", "winner is not model_a, model_b or tie"]


def test_costs_are_read_when_asked_for(tmp_path: Path):
    rows = [{**ROWS[0], "cost.s": 0.01, "cost.w": 0.001}, {**ROWS[1], "cost.s": None, "cost.w": 0.002}]
    loaded = read_scores(write(tmp_path / "d.parquet", rows), ["s", "w"], with_costs=True)
    assert loaded.table.costs is not None and loaded.table.costs.tolist() == [[0.01, 0.001]]
    assert loaded.dropped() == {"a cost is missing": 1}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("d.parquet", "hello", "Parquet"),
        ("d.jsonl", '{"prompt": "a"\n', "d.jsonl:1: not JSON"),
        ("d.jsonl", "[1]\n", "d.jsonl:1: not an object"),
        ("d.csv", 'prompt,score.s,score.w\n"a"b,1,0\n', r"d.csv:\d: not CSV"),
        ("d.xml", "<a/>", "cannot tell the format"),
        ("d.jsonl", '{"prompt": 3, "score.s": 1, "score.w": 0}\n', "no row"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_line_and_reason(tmp_path: Path, name: str, text: str, says: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        read_scores(tmp_path / name, ["s", "w"])
    with pytest.raises(DataError, match="cannot be read"):
        read_scores(tmp_path / "none.jsonl", ["s", "w"])


def test_questions_of_the_training_data_are_refused_in_an_evaluation():
    refuse_leak(["What is x?\nA. 1\nB. 2"], ["What is y?\nA. 1\nB. 2"], "eval")
    with pytest.raises(DataError, match="eval: 1 rows ask questions of the training data"):
        refuse_leak(["What is x?\nA. 1\nB. 2"], ["what  IS x?\nA. 7\nB. 8"], "eval")
