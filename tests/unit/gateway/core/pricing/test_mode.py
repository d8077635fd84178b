"""One word for people."""

import pytest
from msgspec import structs

from gateway.core.budget.ledger import Judgement
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import Period, Slo, SloSpec
from gateway.core.pricing.mode import mode_of
from gateway.domain.prices import Price

SLO = Slo.of(SloSpec("spend", "cost", Cost.Options(100.0), period=Period("day")))
FINE = Judgement(SLO, 10, 100, 0, 0, 0.1, 0.1, 0.9, 900, 100, 0.1, 86400, is_exhausted=False, is_short=False)


@pytest.mark.parametrize(
    ("kind", "value", "mode"),
    [
        ("cost", 0.0, "green"), ("cost", 0.01, "thrifty"), ("cost", 2.0, "thrifty"), ("cost", 2.01, "scarce"),
        ("ttft", 0.0, "green"), ("ttft", 2.5, "thrifty"), ("ttft", 2.51, "scarce"),
    ],
)  # fmt: skip
def test_the_highest_price_says_how_scarce_things_are(kind: str, value: float, mode: str) -> None:
    assert mode_of([Price("other", "availability", 0.0, 0.001), Price("x", kind, value, 0.01)], [FINE]) == mode


def test_a_budget_that_is_used_up_comes_first() -> None:
    assert mode_of([Price("x", "cost", 9.0, 0.01)], [FINE, structs.replace(FINE, is_exhausted=True)]) == "exhausted"


def test_no_budgets_are_green() -> None:
    assert mode_of([], []) == "green"
