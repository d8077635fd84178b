"""The demonstration with real models, as far as it goes without them: questions, marks, table, verdict and configuration."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import load
from load.real import BUDGET, Answered, Question, Row, Stage, budget_of, main, questions, table, verdict


def answered(text: str = "Paris", model: str = "weak", win_rate: float | None = 0.5, accept: tuple[str, ...] = ("Paris",)) -> Answered:
    return Answered(Question("?", accept), model, text, 0.1, 0.2, 100, 10, win_rate, "score")


def test_there_are_thirty_questions_all_different_and_each_with_an_answer() -> None:
    found = questions()
    assert len({q.ask for q in found}) == len(found) == 30
    assert all(q.ask.endswith("?") and q.accept and all(isinstance(a, str) for a in q.accept) for q in found)
    assert not [q for q in found if q.is_right(q.ask)], "no question may hold its own answer"


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        ("Paris", True),
        (" The capital of France is PARIS.", True),
        ("It is Paris, of course\nor London", True),
        ("London\nParis", False),
        ("Parisian", False),
        ("", False),
    ],
)
def test_the_first_line_is_marked_by_whole_words(answer: str, is_right: bool) -> None:
    assert Question("What is the capital of France?", ("Paris",)).is_right(answer) is is_right


def test_numbers_and_phrases_are_words_too() -> None:
    assert Question("?", ("4", "four")).is_right("9 - 5 = 4")
    assert not Question("?", ("4",)).is_right("14")
    assert Question("?", ("carbon dioxide",)).is_right("Plants take in carbon-dioxide.")


def test_dollars_follow_the_tariff_of_the_model_that_answered() -> None:
    assert answered(model="strong").usd == pytest.approx((100 * 2.5 + 10 * 10) / 1e6)
    assert answered(model="weak").usd == pytest.approx((100 * 0.15 + 10 * 0.6) / 1e6)


def test_the_table_has_a_line_for_every_way() -> None:
    rows = [Row("always weak", (answered(), answered("no"))), Row("half", (answered(model="strong"), answered()))]
    _, first, second = table(rows).splitlines()
    assert first.split()[2:] == ["1/2", "0%", "200", "20", "0.000042", "100", "ms"]
    assert "50%" in second


def test_the_verdict_compares_the_router_with_a_coin_and_says_when_it_does_not_help() -> None:
    weak = Row("w", tuple(answered("Paris" if n < 5 else "no", win_rate=0.4) for n in range(10)))
    strong = Row("s", tuple(answered("no" if n < 2 else "Paris", "strong") for n in range(10)))
    even = Row("r", tuple(answered("Paris" if n < 6 else "no", "strong" if n < 5 else "weak") for n in range(10)))
    said = verdict(weak, strong, even)
    assert "at the same strong share of 50% a coin would have had 6.5 right on average, the router had 6" in said
    assert "whoever knew both answers beforehand: 10" in said
    assert "do not help" in said
    better = Row("r", tuple(answered("Paris" if n < 9 else "no", "strong" if n < 5 else "weak") for n in range(10)))
    assert "help on these questions" in verdict(weak, strong, better)
    assert "do not" not in verdict(weak, strong, better)


def test_the_budget_is_enough_for_half_strong() -> None:
    weak, strong = Row("w", (answered(),)), Row("s", (answered(model="strong"),))
    assert budget_of(weak, strong, 10) == pytest.approx(5 * answered().usd + 5 * answered(model="strong").usd)


async def test_its_configurations_are_valid_with_and_without_the_budget(tmp_path: Path) -> None:
    nobody: Any = None
    stage = Stage(tmp_path, nobody, {"strong": "http://127.0.0.1:1", "weak": "http://127.0.0.1:2"}, "127.0.0.1:3", "127.0.0.1:4")
    stage.write_config()
    assert [slo.name for slo in load(str(stage.config), {}).slos] == ["availability"]
    stage.write_config(BUDGET.format(usd=0.0168, requests=60, shape=[15, 15, 15, 15, 0], period_s=75.0, anchor="2026-01-01T00:00:10Z"))
    slos = load(str(stage.config), {}).slos
    assert [slo.name for slo in slos] == ["availability", "spend"]
    assert slos[1].options.usd == pytest.approx(0.0168)


def test_without_its_environment_it_says_how_to_make_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--environment", str(tmp_path / "none")]) == 2
    assert "run `make demo-real`" in capsys.readouterr().err
