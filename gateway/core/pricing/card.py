"""A histogram of traffic on which prices can be tried out: what would these requests choose, and cost?

A card's rows come from the router artifact's calibration sample with the operator's tariffs, or from recent traffic
once there is enough of it. Laws use it for a warm start, for the plant gain and to see what cannot be met.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EDGE = 0.1
"""Soft edge: share of the priced terms within which near-ties are split by the draw. Source: judge/README.md, point 7."""
GOLDEN = 0.6180339887
"""Low-discrepancy steps stand for the draws of the card's rows."""

WELL = (0.999, 0.001)
"""Success and lateness of a model that nothing is known of."""


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
    _billed: tuple[tuple[float, ...], Array] | None = field(default=None, init=False, repr=False, compare=False)
    """The factors that dollars were last scaled with, and the scaled ones."""

    @cached_property
    def mean_value(self) -> float:
        """Mean class value, v̄."""
        return float(self.value.mean())

    @cached_property
    def mean_quality(self) -> tuple[float, ...]:
        """Mean predicted quality per model."""
        return tuple(self.quality.mean(axis=0).tolist())

    @cached_property
    def mean_usd(self) -> tuple[float, ...]:
        """Mean dollars per model at list prices."""
        return tuple(self.usd.mean(axis=0).tolist())

    @cached_property
    def median_usd_apart(self) -> float:
        """Median of what the first model costs more than the last, dollars at list prices."""
        return float(np.median(self.usd[:, 0] - self.usd[:, -1]))

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """Row numbers, shape (n,)."""
        return np.arange(self.value.size)

    @cached_property
    def draws(self) -> Array:
        """Evenly spread draws, shape (n,)."""
        spread: Array = (np.arange(self.value.size, dtype=np.float64) * GOLDEN) % 1.0
        return spread

    @cached_property
    def even(self) -> Array:
        """Draws that split no near-tie, shape (n,)."""
        return np.full(self.value.size, 0.5)

    @cached_property
    def worth(self) -> Array:
        """Qualities times class values over their mean, shape (n, m)."""
        return (self.value / self.mean_value)[:, None] * self.quality

    @cached_property
    def lost(self) -> Array:
        """Predicted losses, 1 - q, shape (n, m)."""
        return 1.0 - self.quality

    def billed(self, factors: Mapping[str, float]) -> Array:
        """Return expected dollars times the learned billed/expected factor, shape (n, m)."""
        times = tuple([factors.get(m, 1.0) for m in self.models])
        if self._billed is None or self._billed[0] != times:  # A search for prices asks dozens of times for the same.
            object.__setattr__(self, "_billed", (times, self.usd * np.array(times)))
        assert self._billed is not None
        return self._billed[1]

    def cheapest_usd(self) -> float:
        """Return the mean dollars of the model that is cheapest on average."""
        return min(self.mean_usd)

    def risks(self, kind: str, success: Array, late: Array, factors: Mapping[str, float]) -> Array:
        """Return r_{d,m} per row and model, shape (n, m); the vector form of each SLI's `risk`."""
        if kind == "cost":
            return self.billed(factors)
        if kind == "quality":
            return self.lost
        if kind not in ("availability", "ttft"):  # Not known without a request: how fast text comes, whether a conversation is kept.
            return np.zeros(self.quality.shape)
        return np.broadcast_to(1.0 - success if kind == "availability" else late, self.quality.shape)

    def pull(self, kind: str, health: Mapping[str, tuple[float, float]], factors: Mapping[str, float]) -> float:
        """Return how much more of a budget the first model takes than the last, in the mean: dollars or bad events per request.

        The mean of `risks` apart, from means that are worked out once per card: laws ask at every tick.

        Args:
            health: success and lateness per model; a model that is not named is healthy.
        """
        first, last = self.models[0], self.models[-1]
        if kind == "cost":
            return self.mean_usd[0] * factors.get(first, 1.0) - self.mean_usd[-1] * factors.get(last, 1.0)
        if kind == "quality":
            return self.mean_quality[-1] - self.mean_quality[0]
        if kind not in ("availability", "ttft"):
            return 0.0
        (first_ok, first_late), (last_ok, last_late) = (health.get(m, WELL) for m in (first, last))
        return last_ok - first_ok if kind == "availability" else first_late - last_late

    def choose(
        self, per_unit: Sequence[tuple[str, float]], success: Array, late: Array, factors: Mapping[str, float], u: Array
    ) -> NDArray[np.intp]:
        """Return the chosen column per row under prices: the vector form of `core/routing/route.py`.

        Args:
            per_unit: (SLI kind, value per dollar or bad event) of every priced budget.
            success, late: a_m and late_m, shape (m,).
            u: draws in [0, 1), shape (n,).
        """
        score = self.worth * success
        if len(self.models) == 1:
            return np.zeros(self.value.size, dtype=np.intp)
        priced = [price * self.risks(kind, success, late, factors) for kind, price in per_unit if price]
        for term in priced:
            score = score - term
        if len(self.models) == 2:  # Nothing to sort.
            apart = sum((np.abs(t[:, 0] - t[:, 1]) for t in priced), np.zeros(self.value.size))
            margins = score[:, 0] - score[:, 1] + EDGE * (2 * u - 1) * apart
            return (margins <= 0).astype(np.intp)
        rows = self.rows
        top = np.argsort(-score, axis=1, kind="stable")[:, :2]
        better, other = top.min(axis=1), top.max(axis=1)  # In the operator's order: `better` is the stronger model.
        edge = sum((np.abs(t[rows, better] - t[rows, other]) for t in priced), np.zeros(self.value.size))
        margin = score[rows, better] - score[rows, other] + EDGE * (2 * u - 1) * edge
        chosen: NDArray[np.intp] = np.where(margin > 0, better, other)
        return chosen


def mean_usd(cards: Sequence[Card], per_unit: Sequence[tuple[str, float]], factors: Mapping[str, float]) -> float:
    """Return the mean dollars per request that the cards' traffic would cost under prices, healthy backends assumed."""
    total = weight = 0.0
    for card in cards:
        m = len(card.models)
        chosen = card.choose(per_unit, np.full(m, 0.999), np.full(m, 0.001), factors, card.draws)
        total += card.weight * float(card.billed(factors)[card.rows, chosen].mean())
        weight += card.weight
    return total / weight
