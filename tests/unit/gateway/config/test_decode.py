"""Tests of YAML with positions."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.decode import NODES_MAX, SIZE_MAX, Unreadable, decode
from gateway.config.errors import Mark, Problem


def unreadable(content: str | bytes) -> tuple[Mark, str]:
    with pytest.raises(Unreadable) as caught:
        decode(content.encode() if isinstance(content, str) else content)
    return caught.value.mark, caught.value.message


def test_every_key_and_value_knows_its_line_and_column() -> None:
    document = decode(b"a:\n  - b: 1\n    c: {d: x}\n")
    assert document.data == {"a": [{"b": 1, "c": {"d": "x"}}]}
    assert document.keys[("a", 0, "c")] == Mark(3, 5)
    assert document.values[("a", 0, "c", "d")] == Mark(3, 12)


def test_what_is_not_written_stands_where_the_thing_around_it_stands() -> None:
    document = decode(b"a:\n  - b: 1\n")
    assert document.place(Problem(("a", 0, "missing"), "")) == Mark(2, 5)
    assert document.place(Problem(("a", 0, "b"), "", is_of_key=True)) == Mark(2, 5)
    assert document.place(Problem(("a", 0, "b"), "")) == Mark(2, 8)
    assert document.place(Problem(("zzz",), "")) == Mark(1, 1)


def test_the_first_of_two_equal_keys_is_kept_and_the_second_is_a_problem() -> None:
    document = decode(b"a: 1\nb: {c: 2, c: 3}\na: 4\n")
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert [(document.place(p), p.message) for p in document.problems] == [
        (Mark(2, 11), "repeated key, first written in line 2"),
        (Mark(3, 1), "repeated section, first written in line 1"),
    ]


def test_a_refused_value_stays_as_text_so_that_the_rest_is_checked() -> None:
    document = decode(b"a: 0777\nb: !!int 5\nc: 3\n")
    assert document.data == {"a": "0777", "b": "!", "c": 3}
    assert [p.path for p in document.problems] == [("a",), ("b",)]


def test_quoted_words_are_text() -> None:
    assert decode(b"a: 'no'\nb: \"1:30\"\nc: '5'\n").data == {"a": "no", "b": "1:30", "c": "5"}


def test_an_alias_for_a_whole_value_is_read() -> None:
    assert decode(b"a: &x {b: [1, 2]}\nc: *x\n").data == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


def test_a_key_that_is_not_text_is_a_problem() -> None:
    document = decode(b"? [a, b]\n: 1\nc: 2\n")
    assert document.data == {"c": 2}
    assert [p.message for p in document.problems] == ["a key must be plain text"]


def test_an_alias_bomb_is_refused_before_it_unfolds() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
    assert str(NODES_MAX) in unreadable(bomb)[1]


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    assert "its own anchor" in unreadable("a: &x [*x]\n")[1]


@pytest.mark.parametrize("depth", [60, 5000])
def test_deep_nesting_is_refused(depth: int) -> None:
    assert "nested deeper" in unreadable("a: " + "[" * depth + "]" * depth)[1]


def test_a_huge_file_is_refused_unread() -> None:
    assert "larger" in unreadable(b"#" * (SIZE_MAX + 1))[1]


@pytest.mark.parametrize(
    ("content", "mark", "message"),
    [
        (b"", Mark(1, 1), "empty"),
        (b"# words\n", Mark(1, 1), "empty"),
        (b"- a\n", Mark(1, 1), "at the top"),
        (b"a: 1\nb\xff: 2\n", Mark(2, 2), "0xff is not UTF-8"),
        (b"\xef\xbb\xbfa: 1\n", Mark(1, 1), "byte order mark"),
        ("a: 1\n".encode("utf-16"), Mark(1, 1), "UTF-16"),
        (b"a:\n\tb: 1\n", Mark(2, 1), "tab"),
        (b"a: 1\n---\nb: 2\n", Mark(2, 1), "second document"),
        (b"a: b: c\n", Mark(1, 5), "quotes"),
        (b"a: @b\n", Mark(1, 4), "'@'"),
        (b"a: 1\nb: \x07\n", Mark(2, 4), "control character"),
        (b"a: {b: 1\nc: 2\n", Mark(2, 2), "in what begins in line 1"),
        (b"a: {b: ${C}}\n", Mark(1, 9), "quotes around a reference"),
        (b"a: *b\n", Mark(1, 4), "undefined alias"),
    ],
)
def test_what_is_no_document_is_said_in_an_operators_words(content: bytes, mark: Mark, message: str) -> None:
    where, what = unreadable(content)
    assert where == mark
    assert message in what


plain_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(-1e6, 1e6).map(lambda x: round(x, 3)) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), plain_data, min_size=1, max_size=5))
def test_quoted_data_comes_back_as_it_was(data: dict[str, Any]) -> None:
    text = yaml.safe_dump(data, default_style='"', allow_unicode=False)
    # Everything is quoted and tagged where it is no text; untag by dumping numbers and the like in flow style.
    if "!!" in text:
        text = yaml.safe_dump(data, default_flow_style=True)
    document = decode(text.encode())
    if not document.problems:
        assert document.data == data


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_complaint(content: bytes) -> None:
    try:
        assert isinstance(decode(content).data, dict)
    except Unreadable as exc:
        assert exc.message and exc.mark.line >= 1 and exc.mark.column >= 1
