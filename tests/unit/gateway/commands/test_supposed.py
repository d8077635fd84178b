"""`sluice explain --budget`: what is told is what the configured law makes of the state, and where it turns is where it turns."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from gateway.commands import explain
from gateway.commands.supposed import Supposition, suppose
from gateway.commands.trial import trial_of
from gateway.core.ticket import Ticket

Run = Callable[[ModuleType], Callable[..., int]]
PROMPT = "Prove that the square root of 2 is irrational."
FIRST_TOKEN = "  - {name: first-token, sli: {kind: ttft, at_most: 1s}, objective: 0.95, window: 28d}\nclasses:"


@pytest.fixture
def real(config: Path) -> Path:
    """A configuration with the builtin router and a budget of late answers."""
    config.write_text(config.read_text().replace("artifact: constant", "artifact: builtin").replace("classes:", FIRST_TOKEN))
    return config


@pytest.fixture
def ask(verb: Run, real: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that asks, expects an answer and returns it."""

    def asked(*arguments: object) -> str:
        assert verb(explain)("--config", real, *arguments, "--", PROMPT) == 0
        return capsys.readouterr().out

    return asked


@pytest.fixture
def wrong(verb: Run, real: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that asks what cannot be answered, and returns what is said."""

    def asked(*arguments: object) -> str:
        assert verb(explain)("--config", real, *arguments) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "Traceback" not in err
        return err

    return asked


def supposition(config: Path, **said: object) -> tuple[Supposition, Ticket]:
    unsaid = {"route": None, "klass": None, "tenant": None, "tokens": None, "at": None, "rate": None, "failing": None, "late": None}
    args = argparse.Namespace(config=str(config), prompt=PROMPT, **(unsaid | said))
    trial = trial_of(args)
    runtime = trial.build()
    what_if = suppose(args, trial, runtime)
    ticket = trial.decide(runtime, what_if.published.prices, what_if.health)
    assert isinstance(ticket, Ticket)
    return what_if, ticket


# -- what is told --------------------------------------------------------------------------------------------------------


def test_a_scarce_budget_sends_the_prompt_to_the_weak_model_and_an_ample_one_to_the_strong(ask: Callable[..., str]) -> None:
    scarce, ample = ask("--budget", "spend=0.1"), ask("--budget", "spend=0.95")
    assert "-> weak: score" in scarce and "-> strong: score" in ample
    assert "weak: best score" in scarce and re.search(r"win rate 0\.\d+ < threshold", scarce)
    assert "router builtin@" in scarce and "law shadow_price, mode thrifty" in scarce


def test_everything_that_is_assumed_is_said(ask: Callable[..., str]) -> None:
    out = ask("--budget", "spend=0.1,first-token=0.8")
    assert "0.5 of each period has passed (--at)" in out
    assert "no forecast: as many as spend pays for, 0.35 of them on strong" in out
    assert "every model answers, and in time (--failing, --late)" in out
    assert "availability: 1 left (not named: full)" in out
    assert "spend: 0.1 left; $0.50 of $5.00 for about" in out
    assert "first-token: 0.8 left; over 28d" in out
    assert "no model is supposed to be late (--late strong=0.2)" in out
    assert "spend: 0.5 left (not named: as scheduled)" in ask("--budget", "first-token=0.8")


def test_moment_rate_and_class_can_be_said(ask: Callable[..., str]) -> None:
    out = ask("--budget", "spend=0.1", "--at", "0.9", "--rate", "0.2", "--class", "batch")
    assert "0.9 of each period has passed (--at); 0.2 requests/s (--rate);" in out
    assert "for about 1728 requests to come" in out and "class batch (value 1)" in out
    assert "--budget" not in out


def test_several_budgets_may_be_said_apart(ask: Callable[..., str]) -> None:
    assert ask("--budget", "spend=0.1", "--budget", " first-token = 0.8 ") == ask("--budget", "spend=0.1,first-token=0.8")


def test_a_forecast_in_the_configuration_is_the_rate(ask: Callable[..., str], real: Path) -> None:
    real.write_text(real.read_text().replace("usd: 5}", "usd: 5, forecast_requests: 8640}"))
    assert "0.1 requests/s (--rate; the configuration's forecast)" in ask("--budget", "spend=0.1")


def test_an_overspent_budget_is_told_as_spent(ask: Callable[..., str]) -> None:
    out = ask("--budget", "spend=-0.2")
    assert "spend: -0.2 left; -$1.00 of $5.00" in out and "spent, on_exhausted cheapest" in out
    assert "cannot be met: spend" in out and "mode exhausted" in out and "no win rate would make it strong" in out


def test_a_late_model_gives_a_budget_of_late_answers_a_price(ask: Callable[..., str]) -> None:
    out = ask("--budget", "first-token=0.05,spend=1", "--late", "strong=0.6")
    assert "strong late 0.6, for 2h now" in out
    assert re.search(r"prices 1 .*ttft 0\.\d+", out) and re.search(r"strong: score .* - ttft 0\.\d+", out)


def test_observing_is_said(ask: Callable[..., str], real: Path) -> None:
    assert "only observes" not in ask("--budget", "spend=0.1")
    real.write_text("mode: observe\n" + real.read_text())
    assert "only observes" in ask("--budget", "spend=0.1")


def test_a_router_that_cannot_be_used_is_answered_for_by_the_share_and_that_is_said(ask: Callable[..., str], real: Path) -> None:
    real.write_text(real.read_text().replace("artifact: builtin", "artifact: none-there"))
    assert "router fallback: " in ask("--budget", "spend=0.1")


# -- what would change it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0.1, 0.95])
def test_where_a_budget_is_said_to_turn_the_choice_it_does_and_a_hundredth_before_it_does_not(real: Path, left: float) -> None:
    what_if, ticket = supposition(real, budget=[f"spend={left}"])
    assert ticket.choice is not None
    [turn] = [t for t in what_if.turns(ticket.choice) if "spend" in t]
    told = re.fullmatch(r"it would be (\w+) with (-?[\d.]+) left of spend, or (more|less)", turn)
    assert told is not None
    other, at, way = told[1], float(told[2]), told[3]
    assert other != ticket.choice.model and way == ("more" if left < at else "less")
    before = round(at + (-0.01 if way == "more" else 0.01), 2)
    chosen = [t.choice.model for _, t in (supposition(real, budget=[f"spend={x}"]) for x in (at, before)) if t.choice is not None]
    assert chosen == [other, ticket.choice.model]
    beside, decided = supposition(real, budget=[f"spend={before}"])
    assert decided.choice is not None and turn in list(beside.turns(decided.choice))


def test_a_budget_that_turns_nothing_is_told_so(ask: Callable[..., str]) -> None:
    assert "no other share of first-token that is left would change it" in ask("--budget", "first-token=0.5")


def test_the_win_rate_from_which_the_other_model_answers_is_the_threshold(real: Path) -> None:
    what_if, ticket = supposition(real, budget=["spend=0.1"])
    assert ticket.choice is not None
    assert f"it would be strong from a win rate of {ticket.choice.threshold:.4f} on" in list(what_if.turns(ticket.choice))


def test_less_left_never_raises_the_strong_models_chance(real: Path) -> None:
    said = [supposition(real, budget=[f"spend={left}"])[1].choice for left in (1, 0.8, 0.6, 0.4, 0.2, 0.1, 0.02, 0, -0.5)]
    thresholds = [c.threshold for c in said if c is not None and c.threshold is not None]
    assert len(thresholds) == 9 and thresholds == sorted(thresholds)
    models = [c.model for c in said if c is not None]
    assert models == sorted(models) and set(models) == {"strong", "weak"}  # Once it is weak, it stays so.


# -- what cannot be answered -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (("--budget", "spent=0.1"), "no SLO 'spent', did you mean 'spend'?"),
        (("--budget", "spend=little"), "'little' is no number"),
        (("--budget", "spend=10%"), "'10%' is no number"),
        (("--budget", "spend=nan"), "'nan' is no number"),
        (("--budget", "spend"), "write SLO=NUMBER"),
        (("--budget", "spend="), "write SLO=NUMBER"),
        (("--budget", ""), "write SLO=NUMBER"),
        (("--budget", "spend=0.1,spend=0.2"), "names spend twice"),
        (("--budget", "spend=10"), "at most 1 can be left"),
        (("--budget", "first-token=-50"), "-19 would be left"),
        (("--budget", "spend=0.1", "--at", "1"), "1 is not between 0 and 1"),
        (("--budget", "spend=0.1", "--at", "noon"), "'noon' is no number"),
        (("--budget", "spend=0.1", "--rate", "-3"), "-3 is not above 0"),
        (("--budget", "spend=0.1", "--late", "stron=0.3"), "no model 'stron', did you mean 'strong'?"),
        (("--budget", "spend=0.1", "--failing", "strong=1.3"), "a share is between 0 and 1"),
        (("--budget", "spend=0.1", "--route", "autoo"), "no route 'autoo', did you mean 'auto'?"),
        (("--budget", "spend=0.1", "--admin", "http://127.0.0.1:1"), "--admin brings a real one"),
        (("--budget", "spend=0.1", "--from-log", "x.jsonl"), "--from-log brings a real one"),
        (("--at", "0.3"), "--at: only with --budget"),
    ],
)
def test_what_cannot_be_answered_is_one_line_and_status_2(wrong: Callable[..., str], said: tuple[str, ...], answer: str) -> None:
    assert answer in wrong(*said, "--", PROMPT)


def test_a_missing_prompt_is_said(wrong: Callable[..., str]) -> None:
    assert '-- "prompt"' in wrong("--budget", "spend=0.1")


@pytest.mark.parametrize(("law", "because"), [("static", "does not depend on budgets"), ("step", "follows how fast budgets burn")])
def test_a_law_without_prices_says_so(wrong: Callable[..., str], real: Path, law: str, because: str) -> None:
    real.write_text(real.read_text() + f"pricing: {{law: {{kind: {law}, threshold: 0.4}}}}\n")
    assert f"law {law} sets no prices, and its threshold (0.4) {because}" in wrong("--budget", "spend=0.1", "--", PROMPT)


def test_a_route_of_one_model_says_so(wrong: Callable[..., str], real: Path) -> None:
    real.write_text(real.read_text().replace("slos:", "  - {name: cheap, models: [weak]}\nslos:"))
    assert "route cheap has one model and no router" in wrong("--budget", "spend=0.1", "--route", "cheap", "--", PROMPT)


def test_a_configuration_without_budgets_says_so(wrong: Callable[..., str], real: Path) -> None:
    real.write_text(re.sub(r"slos:\n(  - .*\n)+", "", real.read_text()))
    assert "there are no SLOs" in wrong("--budget", "spend=0.1", "--", PROMPT)
