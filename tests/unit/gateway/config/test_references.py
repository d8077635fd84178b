"""Tests of references to the environment and to files."""

from pathlib import Path

import pytest

from gateway.config.decode import decode
from gateway.config.references import SECRET_SIZE_MAX, Expanded, Unresolved, expand, expand_text, files_in, quoted, read_file


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${A}", "alpha"),
        ("x-${A}-${B}", "x-alpha-beta"),
        ("${UNSET:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${A:-default}", "alpha"),
        ("${UNSET:-http://h:1/v1}", "http://h:1/v1"),
        ("$A and $${A}", "$A and ${A}"),
    ],
)
def test_references_are_replaced(text: str, expanded: str) -> None:
    assert expand_text(text, {"A": "alpha", "B": "beta", "EMPTY": ""}) == expanded


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${UNSET}", "environment variable UNSET is not set"),
        ("${SLUICE_KEYS}", "did you mean 'SLUICE_KEY'?"),
        ("${EMPTY}", "environment variable EMPTY is empty"),
        ("${A", "without '}'"),
        ("${}", "names no environment variable"),
        ("${1A:-hunter2}", "'${1A}' names no environment variable"),
        ("${file:}", "needs a path"),
        ("${file:/nonexistent/x}", "file '/nonexistent/x' cannot be read: No such file or directory"),
        ("${file:nonexistent/x}", "start at the working directory"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why_and_shows_no_value(text: str, message: str) -> None:
    with pytest.raises(Unresolved) as caught:
        expand_text(text, {"EMPTY": "", "SLUICE_KEY": "hunter2"})
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_gives_its_text_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"s3cret\r\n")
    assert expand_text(f"Bearer ${{file:{tmp_path}/key}}", {}) == "Bearer s3cret"


@pytest.mark.parametrize(("content", "message"), [(b"\n", "is empty"), (b"\xff", "not UTF-8"), (b"x" * (SECRET_SIZE_MAX + 1), "larger")])
def test_a_file_that_cannot_be_a_secret_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(Unresolved, match=message):
        expand_text(f"${{file:{tmp_path}/key}}", {}, read_file)


def test_text_from_a_reference_remembers_how_it_was_written() -> None:
    text = expand_text("${A}", {"A": "hunter2"})
    assert isinstance(text, Expanded)
    assert quoted(text) == "'${A}'"
    assert not isinstance(expand_text("$${A}", {}), Expanded)


def test_long_text_is_cut_in_messages() -> None:
    assert len(quoted("x" * 500)) < 80
    assert quoted(5) == "5"


def test_references_in_a_document_are_replaced_wherever_they_stand_and_problems_are_collected() -> None:
    document = decode(b"a: [x, '${A}']\nb: {c: '${NO_1}', d: '${NO_2}'}\ne: 5\n")
    expand(document, {"A": "alpha"})
    assert document.data == {"a": ["x", "alpha"], "b": {"c": "${NO_1}", "d": "${NO_2}"}, "e": 5}
    assert [p.path for p in document.problems] == [("b", "c"), ("b", "d")]


def test_files_are_found_in_bytes_that_need_not_be_yaml() -> None:
    assert files_in(b"\xff{{ ${file:/a} ${FILE} ${file:b/c} ${file:/a}") == ("/a", "b/c")
