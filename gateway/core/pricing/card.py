"""A histogram of traffic on which prices can be tried out: what would these requests choose, and cost?

A card's rows come from the router artifact's calibration sample with the operator's tariffs, or from recent traffic
once there is enough of it. Laws use it for a warm start, for the plant gain and to see what cannot be met.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EDGE = 0.1
"""Soft edge: share of the priced terms within which near-ties are split by the draw. Source: judge/README.md, point 7."""
GOLDEN = 0.6180339887
"""Low-discrepancy steps stand for the draws of the card's rows."""


@dataclass(frozen=True)
class Card:
    """Rows of one route. Columns are the route's models, best first."""

    models: tuple[str, ...]
    value: Array
    """Class values, shape (n,)."""
    quality: Array
    """Predicted qualities, shape (n, m)."""
    usd: Array
    """Expected dollars at list prices, shape (n, m)."""
    weight: float = 1.0
    """Share of the traffic, for several routes."""

    @property
    def mean_value(self) -> float:
        """Mean class value, v̄."""
        return float(self.value.mean())

    def billed(self, factors: Mapping[str, float]) -> Array:
        """Return expected dollars times the learned billed/expected factor, shape (n, m)."""
        scaled: Array = self.usd * np.array([factors.get(m, 1.0) for m in self.models])
        return scaled

    def cheapest_usd(self) -> float:
        """Return the mean dollars of the model that is cheapest on average."""
        return float(self.usd.mean(axis=0).min())

    def risks(self, kind: str, success: Array, late: Array, factors: Mapping[str, float]) -> Array:
        """Return r_{d,m} per row and model, shape (n, m); the vector form of each SLI's `risk`."""
        if kind == "cost":
            return self.billed(factors)
        if kind == "quality":
            return 1.0 - self.quality
        if kind not in ("availability", "ttft"):  # Not known without a request: how fast text comes, whether a conversation is kept.
            return np.zeros(self.quality.shape)
        return np.broadcast_to(1.0 - success if kind == "availability" else late, self.quality.shape)

    def choose(
        self, per_unit: Sequence[tuple[str, float]], success: Array, late: Array, factors: Mapping[str, float], u: Array
    ) -> NDArray[np.intp]:
        """Return the chosen column per row under prices: the vector form of `core/routing/route.py`.

        Args:
            per_unit: (SLI kind, value per dollar or bad event) of every priced budget.
            success, late: a_m and late_m, shape (m,).
            u: draws in [0, 1), shape (n,).
        """
        score = (self.value / self.mean_value)[:, None] * self.quality * success
        if len(self.models) == 1:
            return np.zeros(self.value.size, dtype=np.intp)
        priced = [price * self.risks(kind, success, late, factors) for kind, price in per_unit if price]
        for term in priced:
            score = score - term
        rows = np.arange(self.value.size)
        top = np.argsort(-score, axis=1, kind="stable")[:, :2]
        better, other = top.min(axis=1), top.max(axis=1)  # In the operator's order: `better` is the stronger model.
        edge = sum((np.abs(t[rows, better] - t[rows, other]) for t in priced), np.zeros(self.value.size))
        margin = score[rows, better] - score[rows, other] + EDGE * (2 * u - 1) * edge
        chosen: NDArray[np.intp] = np.where(margin > 0, better, other)
        return chosen

    def draws(self) -> Array:
        """Return evenly spread draws, shape (n,)."""
        spread: Array = (np.arange(self.value.size, dtype=np.float64) * GOLDEN) % 1.0
        return spread


def mean_usd(cards: Sequence[Card], per_unit: Sequence[tuple[str, float]], factors: Mapping[str, float]) -> float:
    """Return the mean dollars per request that the cards' traffic would cost under prices, healthy backends assumed."""
    total = weight = 0.0
    for card in cards:
        m = len(card.models)
        chosen = card.choose(per_unit, np.full(m, 0.999), np.full(m, 0.001), factors, card.draws())
        total += card.weight * float(card.billed(factors)[np.arange(chosen.size), chosen].mean())
        weight += card.weight
    return total / weight
