"""A trial: one prompt decided as a gateway of a configuration would, and what the command line may name."""

import argparse
from pathlib import Path

import pytest

from gateway.commands.trial import Trial, Unanswerable, known, trial_of
from gateway.core.ticket import Ticket
from gateway.domain.decision import Shed
from gateway.domain.prices import Price, Prices

DEAR = Prices(1, 0, "", 0.0, "shadow_price", (Price("spend", "cost", 1.0, 1e-3),))
FREE = Prices(1, 0, "", 0.0, "shadow_price")


def trial(config: Path, prompt: str = "hello", **named: object) -> Trial:
    unsaid = {"route": None, "klass": None, "tenant": None, "tokens": None}
    return trial_of(argparse.Namespace(config=str(config), prompt=prompt, **(unsaid | named)))


def chosen(made: Trial, prices: Prices, health: dict[str, tuple[float, float]] | None = None) -> str:
    ticket = made.decide(made.build(), prices, health)
    assert isinstance(ticket, Ticket) and ticket.choice is not None
    return ticket.choice.model


def test_prices_decide_and_a_trial_can_be_repeated(config: Path) -> None:
    made = trial(config)
    assert [chosen(made, p) for p in (FREE, DEAR, FREE)] == ["strong", "weak", "strong"]


def test_a_model_that_is_supposed_to_fail_is_avoided(config: Path) -> None:
    assert chosen(trial(config), FREE, {"strong": (0.2, 0.001)}) == "weak"


def test_the_class_is_the_one_named_else_the_tenants_else_that_of_requests_without_a_key(config: Path) -> None:
    config.write_text(config.read_text() + '  - {name: night, class: batch, keys: ["sha256:' + "a" * 64 + '"]}\n')
    assert [trial(config, **n).klass.name for n in ({}, {"tenant": "night"}, {"tenant": "night", "klass": "standard"})] == [
        "standard", "batch", "standard",
    ]  # fmt: skip


def test_a_longest_answer_bounds_what_is_expected(config: Path) -> None:
    made = trial(config, tokens=7)
    ticket = made.decide(made.build(), FREE)
    assert isinstance(ticket, Ticket) and {e.completion_tokens for e in ticket.expectations} == {7}


def test_a_prompt_beyond_every_context_is_refused(config: Path) -> None:
    made = trial(config, tokens=10_000_000)
    assert isinstance(made.decide(made.build(), FREE), Shed)


@pytest.mark.parametrize("named", [{"route": "autoo"}, {"klass": "standart"}, {"tenant": "opne"}])
def test_a_name_that_is_not_there_is_told_with_what_was_meant(config: Path, named: dict[str, str]) -> None:
    with pytest.raises(Unanswerable, match=r"did you mean '(auto|standard|open)'"):
        trial(config, **named)


def test_where_there_is_nothing_to_name_that_is_said() -> None:
    with pytest.raises(Unanswerable, match="there are no routes"):
        known("", {}, "route")
