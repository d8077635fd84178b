"""Tests of unquoted words."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.scalars import read_plain, trap


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("-7", -7),
        ("+5", 5),
        ("0", 0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.0e+3", 1000.0),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("10m", "10m"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("none", "none"),
    ],
)
def test_words_with_one_reading_are_read(text: str, value: object) -> None:
    assert trap(text) is None
    assert read_plain(text) == value
    assert type(read_plain(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("no", "write false"),
        ("Yes", "write true"),
        ("OFF", "write false"),
        ("on", "write true"),
        ("1:30", "such as 90s"),
        ("12:30:45", "such as 90s"),
        ("0777", "without leading zero"),
        ("0o17", "in decimal"),
        ("0x1F", "in decimal"),
        ("1e3", "write 1000,"),
        ("1.5E3", "write 1500,"),
        ("2e-3", "write 0.002,"),
        ("1e400", "without exponent"),
        ("1_000", "write 1000"),
        (".inf", "not a number"),
        ("-.NaN", "not a number"),
        ("9" * 40, "40 digits"),
    ],
)
def test_words_with_two_readings_are_refused_with_what_to_write(text: str, instead: str) -> None:
    assert instead in (trap(text) or "")


@given(st.text("0123456789+-._:exobTtrueFfalsnyOo~", min_size=1, max_size=8))
def test_what_is_read_is_what_a_yaml_1_1_reader_reads(text: str) -> None:
    """The other readers' rules are a subset of these: a word that passes means the same to PyYAML."""
    try:
        theirs = yaml.safe_load(f"[{text}]")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError):
        return
    if not (isinstance(theirs, list) and len(theirs) == 1 and isinstance(node, yaml.ScalarNode) and node.value == text):
        return
    if trap(text) is None and not (isinstance(read_plain(text), str) and node.tag.endswith(("timestamp", "value"))):
        assert read_plain(text) == theirs[0]
