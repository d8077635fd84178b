"""Tests of pydantic's errors in an operator's words."""

import pytest

from gateway.config.schema import read
from gateway.config.sections import Sections

MODEL = {"name": "m", "tariff": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}, "context_tokens": 10, "backends": []}
RIGHT: dict[str, object] = {"models": [MODEL], "routes": []}


def said(**more: object) -> list[tuple[tuple[str | int, ...], str]]:
    made, problems = read(Sections, RIGHT | more)
    assert (made is None) == bool(problems)
    return [(p.path, p.message) for p in problems]


@pytest.mark.parametrize(
    ("more", "path", "message"),
    [
        ({"servr": {}}, ("servr",), "unknown key, did you mean 'server'?"),
        ({"server": {"listn": "x"}}, ("server", "listn"), "unknown key, did you mean 'listen'?"),
        ({"server": []}, ("server",), "expected a mapping"),
        ({"server": None}, ("server",), "nothing is written here"),
        ({"slos": {}}, ("slos",), "expected a list"),
        ({"slos": ["x"]}, ("slos", 0), "expected a mapping"),
        ({"mode": "on"}, ("mode",), "'on' is not known here"),
        ({"mode": 5}, ("mode",), "5 is not known here, known words: observe, enforce"),
        ({"slos": [{"name": "a", "sli": {"kind": "tft"}}]}, ("slos", 0, "sli", "kind"), "unknown kind 'tft', did you mean 'ttft'?"),
        ({"slos": [{"name": "a", "sli": {}}]}, ("slos", 0, "sli"), "`kind` is missing; known kinds: availability"),
        ({"slos": [{"name": "a", "sli": 5}]}, ("slos", 0, "sli"), "expected a mapping with `kind`"),
        ({"slos": [{"name": "a", "sli": "ttft"}]}, ("slos", 0, "sli", "at_most"), "a required key is missing"),
        ({"slos": [{"name": "a", "sli": {"kind": "ttft", "at_most": 1}}]}, ("slos", 0, "sli", "at_most"), "without unit"),
        ({"slos": [{"name": "a", "sli": "availability", "for": {"rout": "x"}}]}, ("slos", 0, "for", "rout"), "did you mean 'route'?"),
        ({"pricing": {"law": {"kind": "static", "treshold": 0.4}}}, ("pricing", "law", "treshold"), "did you mean 'threshold'?"),
        ({"tenants": [{"name": "t", "class": 5}]}, ("tenants", 0, "class"), '5 is not text; put quotes around it: "5"'),
        (
            {"models": [MODEL | {"backends": [{"url": "u", "model": "m", "labels": {"a": 1}}]}]},
            ("models", 0, "backends", 0, "labels", "a"),
            "not text",
        ),
        (
            {"models": [MODEL | {"backends": [{"url": "u", "model": "m", "labels": [1]}]}]},
            ("models", 0, "backends", 0, "labels"),
            "expected a mapping",
        ),
    ],
)
def test_each_mistake_is_said_once_at_its_path(more: dict[str, object], path: tuple[str | int, ...], message: str) -> None:
    assert [(p, message in m) for p, m in said(**more)] == [(path, True)]


def test_a_misspelt_required_key_is_not_missing_too() -> None:
    problems = said(routes=[{"nmae": "auto", "models": []}, {"zzz": "auto", "models": []}])
    assert [p for p, _ in problems] == [("routes", 0, "nmae"), ("routes", 1, "name"), ("routes", 1, "zzz")]


def test_problems_carry_the_path_at_which_the_section_stands() -> None:
    _, problems = read(Sections, RIGHT | {"mode": "x"}, ("inside", 3))
    assert [p.path for p in problems] == [("inside", 3, "mode")]
