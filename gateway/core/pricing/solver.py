"""What the cards say about prices: which price meets an allowance, how strongly spending answers to a price, what is possible at all.

Theory. A card is a histogram of traffic on which prices can be tried; mean spending and the share of bad answers fall monotonely
with their own prices, so bisection finds the price that just meets an allowance. Healthy models are assumed: a price is to be right
when a fault is over. Of several cost budgets requests pay the highest price alone (`terms.py`), so each is solved as if the
others were free. Shown by `tests/unit/.../test_solver.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.core.budget.ledger import Judgement
from gateway.core.pricing.card import Card, mean_usd
from gateway.core.pricing.law import Tick

PRICE_MAX, HALVINGS, HALVINGS_BOTH = 64.0, 30, 12
"""Where bisection begins, and how often it halves: to 6e-8 of a price, and to a 4096th of a ratio price's cap."""
LEAST_PRICE, LEAST_GAIN = 0.05, 0.5
SECANT = 0.2
LEAST_QUALITY_GAIN = 0.2


@dataclass(frozen=True, slots=True)
class Solver:
    """The cards at one tick, under prices by SLO name; those that are not named are free."""

    tick: Tick
    prices: Mapping[str, float]

    def cost(self, cost: Judgement, instead: Mapping[str, float] | None = None) -> float:
        """Return the price of a cost budget at which the cards' requests cost its allowance.

        Args:
            instead: other budgets' prices, where they are to differ from the present ones.
        """
        low, high, name, others = 0.0, PRICE_MAX, cost.slo.spec.name, {**self.alone(cost), **(instead or {})}
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            is_dear = self._usd({**others, name: middle}) > cost.allowance
            low, high = (middle, high) if is_dear else (low, middle)
        return high

    def both(self, quality: Judgement, cost: Judgement, cap: float, cap_lost: float, sure: float) -> tuple[float, float]:
        """Return prices of a quality and a cost budget that meet both allowances on the cards.

        Args:
            cap: quality's highest price.
            cap_lost: its price where even `cap` leaves more than `sure` allowances of bad answers.
        """
        bad, paid = self.bad_at(quality, cost, 0.0)
        if bad <= quality.allowance:
            return 0.0, paid
        if self.bad_at(quality, cost, cap)[0] > sure * quality.allowance:
            return cap_lost, self.bad_at(quality, cost, cap_lost)[1]
        low, high = 0.0, cap
        for _ in range(HALVINGS_BOTH):
            middle = (low + high) / 2
            is_bad = self.bad_at(quality, cost, middle)[0] > quality.allowance
            low, high = (middle, high) if is_bad else (low, middle)
        return high, self.bad_at(quality, cost, high)[1]

    def bad_at(self, quality: Judgement, cost: Judgement, price: float) -> tuple[float, float]:
        """Return the predicted share of bad answers when quality has a price and cost what then meets its allowance, and that."""
        instead = {quality.slo.spec.name: price}
        paid = self.cost(cost, instead)
        return _mean_bad(
            self.tick.cards, self._per_unit({**self.alone(cost), **instead, cost.slo.spec.name: paid}), self.tick.factors
        ), paid

    def bad(self) -> float:
        """Return the predicted share of bad answers under the present prices."""
        return _mean_bad(self.tick.cards, self._per_unit({}), self.tick.factors)

    def gain(self, cost: Judgement) -> float:
        """Return -d burn / d lambda of a cost budget at its present price, secant over +-20 %, at least 0.5."""
        name, others = cost.slo.spec.name, self.alone(cost)
        at = max(self.prices.get(name, 0.0), LEAST_PRICE)
        dear, cheap = (self._usd({**others, name: f * at}) for f in (1 - SECANT, 1 + SECANT))
        return max((dear - cheap) / (2 * SECANT * at * cost.allowance), LEAST_GAIN)

    def quality_gain(self, quality: Judgement) -> float:
        """Return -d burn / d mu of a quality budget at its present price, other prices held: a secant of 0.4, at least 0.2."""
        name = quality.slo.spec.name
        at = max(self.prices.get(name, 0.0), SECANT)
        bad, better = (_mean_bad(self.tick.cards, self._per_unit({name: at + d}), self.tick.factors) for d in (-SECANT, SECANT))
        return max((bad - better) / (2 * SECANT * quality.allowance), LEAST_QUALITY_GAIN)

    def alone(self, cost: Judgement) -> dict[str, float]:
        """Return the other cost budgets without a price: of several, requests pay only the highest (`terms.py`)."""
        return {j.slo.spec.name: 0.0 for j in self.tick.judgements if j.slo.spec.kind == "cost" and j is not cost}

    def _usd(self, instead: Mapping[str, float]) -> float:
        return mean_usd(self.tick.cards, self._per_unit(instead), self.tick.factors)

    def _per_unit(self, instead: Mapping[str, float]) -> list[tuple[str, float]]:
        prices = [(j, instead.get(j.slo.spec.name, self.prices.get(j.slo.spec.name, 0.0))) for j in self.tick.judgements]
        return [(j.slo.spec.kind, p / j.allowance if j.slo.spec.kind == "cost" else p) for j, p in prices]


def _mean_bad(cards: Sequence[Card], per_unit: Sequence[tuple[str, float]], factors: Mapping[str, float]) -> float:
    """Return the mean predicted share of bad answers under prices, healthy backends and no soft edge."""
    total = weight = 0.0
    for card in cards:
        m = len(card.models)
        chosen = card.choose(per_unit, np.full(m, 0.999), np.full(m, 0.001), factors, card.even)
        total += card.weight * float(card.lost[card.rows, chosen].mean())
        weight += card.weight
    return total / weight
