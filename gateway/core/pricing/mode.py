"""One word for people: how scarce things are.

green: every price is zero. thrifty: something has a price. scarce: a price is beyond half of what caps usually are.
exhausted: a budget is used up. The law never reads this word.
"""

from collections.abc import Sequence

from gateway.core.budget.ledger import Judgement
from gateway.domain.prices import Price

SCARCE_LAMBDA, SCARCE_MU = 2.0, 2.5
"""Values per allowance, and per bad event. Half of the usual caps: four times a solved price of one, and five."""


def mode_of(prices: Sequence[Price], judgements: Sequence[Judgement]) -> str:
    """Return green, thrifty, scarce or exhausted."""
    if True in [j.is_exhausted for j in judgements]:
        return "exhausted"
    mode = "green"
    for price in prices:
        if price.value > (SCARCE_LAMBDA if price.kind == "cost" else SCARCE_MU):
            return "scarce"
        if price.value > 0:
            mode = "thrifty"
    return mode
