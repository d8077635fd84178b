"""Answers: as long as the trace's, the same for the same prompt, valid where a schema says so, cut where the request says so."""

import json
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.answer import Answer, compose, drawn_tokens
from load.ask import Ask, BadRequest, Endpoint, Text, Tool

TEXT = Text(b"What is a lighthouse for?", 6)


def ask(**options: Any) -> Ask:
    return Ask(Endpoint.CHAT, "m", (TEXT,), **options)


def said(answer: Answer) -> str:
    return str(json.loads(b'"%b"' % b"".join(answer.pieces(0, answer.tokens))))


def test_drawn_lengths_have_the_mean_and_the_spread_of_the_trace() -> None:
    drawn = [drawn_tokens(str(i).encode()) for i in range(20_000)]
    assert statistics.mean(drawn) == pytest.approx(211, rel=0.04)
    assert statistics.median(drawn) == pytest.approx(134, rel=0.04)
    assert statistics.mean(drawn_tokens(str(i).encode(), mean=50) for i in range(20_000)) == pytest.approx(50, rel=0.04)
    assert drawn_tokens(b"x") == drawn_tokens(b"x")


def test_the_same_prompt_gets_the_same_answer_and_choices_differ() -> None:
    assert compose(ask(), TEXT, 0) == compose(ask(), TEXT, 0)
    assert said(compose(ask(), TEXT, 0)) != said(compose(ask(), TEXT, 1))


def test_the_limit_cuts_and_says_so() -> None:
    assert compose(ask(output_tokens=50, tokens_max=20), TEXT, 0).finish_reason == "length"
    assert compose(ask(output_tokens=50, tokens_max=20), TEXT, 0).tokens == 20
    assert compose(ask(output_tokens=20, tokens_max=20), TEXT, 0).finish_reason == "stop"
    assert compose(ask(output_tokens=50), TEXT, 0).tokens == 50


def test_a_stop_sequence_is_not_said() -> None:
    whole = said(compose(ask(output_tokens=400), TEXT, 0))
    sequence = whole.split()[30]
    answer = compose(ask(output_tokens=400, stop=(sequence,)), TEXT, 0)
    assert answer.finish_reason == "stop"
    assert 1 <= answer.tokens < 400
    assert sequence not in said(answer)
    assert whole.startswith(said(answer))


@given(st.integers(1, 3000), st.integers(0, 3000))
def test_pieces_in_parts_are_the_pieces_of_the_whole(tokens: int, cut: int) -> None:
    answer = compose(ask(output_tokens=tokens), TEXT, 0)
    cut = min(cut, tokens)
    assert [*answer.pieces(0, cut), *answer.pieces(cut, tokens)] == list(answer.pieces(0, tokens))
    assert len(answer.pieces(0, tokens)) == tokens


def test_a_schema_is_obeyed_and_a_tool_is_called() -> None:
    schema = {"type": "object", "properties": {"city": {"const": 'Zü"rich'}}, "required": ["city"]}
    answer = compose(ask(schema=schema, output_tokens=500), TEXT, 0)
    assert json.loads(said(answer)) == {"city": 'Zü"rich'}
    assert (answer.finish_reason, answer.tokens) == ("stop", len(answer.fixed))
    assert compose(ask(tool=Tool("f", schema)), TEXT, 0).finish_reason == "tool_calls"
    assert compose(ask(schema=schema, tokens_max=2), TEXT, 0).finish_reason == "length"
    with pytest.raises(BadRequest, match="Invalid schema"):
        compose(ask(schema={"type": "colour"}), TEXT, 0)
