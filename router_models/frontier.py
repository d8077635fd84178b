"""Many models with dollar costs: choose argmax q - lambda * c, and measure the cost-quality curve that this draws.

AIQ (RouterBench): area under the non-decreasing upper hull of a router's (mean cost, mean quality) points over the cost range of the
single models, divided by that range. The *zero router* is the hull of the single models: whatever a router does, mixing two single models
at random reaches that hull, so a router below it is worth less than nothing. A `Frontier` therefore mixes single models wherever the
router's own policies did not beat that on held-out rows.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]
"""(mean dollars per call, mean quality)."""

LAMBDAS: tuple[float, ...] = (0.0, *(float(v) for v in np.logspace(-1, 5, 61)))
"""Prices of a dollar in quality that are tried."""
MARGIN = 0.5
"""Standard errors that a priced policy's held-out quality is lowered by, before it is compared with mixing single models."""


def choose(quality: Floats, cost: Floats, price: float) -> NDArray[np.int64]:
    """Return argmax q - price * c per row, shape (n,); the cheaper model where they tie.

    Args:
        quality: expected scores, shape (n, models).
        cost: expected dollars per call, shape (models,) or (n, models).
    """
    worth = quality - price * cost
    order = np.argsort(np.broadcast_to(cost, quality.shape), axis=1, kind="stable")
    best = np.argmax(np.take_along_axis(worth, order, axis=1), axis=1)
    chosen: NDArray[np.int64] = np.take_along_axis(order, best[:, None], axis=1)[:, 0]
    return chosen


def hull(points: list[Point]) -> list[Point]:
    """Return the non-decreasing upper hull, cheapest first."""
    found: list[Point] = []
    best = -np.inf
    for cost, quality in sorted(points, key=lambda p: (p[0], -p[1])):
        if quality <= best:
            continue
        best = quality
        while len(found) >= 2 and _turns_up(found[-2], found[-1], (cost, quality)):
            found.pop()
        found.append((cost, quality))
    return found


def _turns_up(a: Point, b: Point, c: Point) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])


def aiq(points: list[Point], cost_range: tuple[float, float]) -> float:
    """Return the mean height of the hull over a cost range; below its cheapest point the hull has quality 0, beyond its last it is flat."""
    low, high = cost_range
    line = hull(points)
    at = np.unique(np.clip([low, *(c for c, _ in line), high], low, high))
    x, y = np.array([c for c, _ in line]), np.array([q for _, q in line])
    heights = np.interp(at, x, y, left=float(y[0]) if x[0] <= low else 0.0)
    return float(np.trapezoid(heights, at) / (high - low))


def single_points(scores: Floats, costs: Floats) -> list[Point]:
    """Return the point of always using one model, for each model."""
    return [(float(costs[:, m].mean()), float(scores[:, m].mean())) for m in range(scores.shape[1])]


def sweep(quality: Floats, cost: Floats, scores: Floats, costs: Floats) -> list[Point]:
    """Return what argmax q - price * c really costs and scores, a point for each of LAMBDAS.

    Args:
        quality, cost: what is expected; shapes (n, models), and (models,) or (n, models).
        scores, costs: what really happens, shape (n, models).
    """
    rows = np.arange(len(scores))
    points = []
    for price in LAMBDAS:
        taken = choose(quality, cost, price)
        points.append((float(costs[rows, taken].mean()), float(scores[rows, taken].mean())))
    return points


def cost_at(points: list[Point], quality: float) -> float | None:
    """Return the least mean cost at which the hull reaches a quality; None where it never does."""
    line = hull(points)
    if line[-1][1] < quality:
        return None
    if line[0][1] >= quality:
        return line[0][0]
    return float(np.interp(quality, [q for _, q in line], [c for c, _ in line]))


@dataclass(frozen=True)
class Policy:
    """One way to answer: a price (argmax q - price * c), or always the same model."""

    price: float | None
    model: int | None

    def apply(self, quality: Floats, cost: Floats) -> NDArray[np.int64]:
        """Return the model of each row."""
        if self.model is not None:
            return np.full(len(quality), self.model, dtype=np.int64)
        assert self.price is not None
        return choose(quality, cost, self.price)


@dataclass(frozen=True)
class Frontier:
    """Policies on the hull that held-out rows draw, cheapest first; any spend between two of them is a mixture of both."""

    policies: tuple[Policy, ...]
    points: tuple[Point, ...]
    """(mean dollars, mean quality) of each policy on held-out rows; priced policies less MARGIN standard errors."""

    def at(self, budget_usd: float) -> tuple[tuple[Policy, float], ...]:
        """Return the policies to mix, with their shares, for a mean spend per call; the ends where the budget lies outside."""
        costs = [c for c, _ in self.points]
        after = bisect_right(costs, budget_usd)
        if after in (0, len(costs)):
            return ((self.policies[min(after, len(costs) - 1)], 1.0),)
        share = (budget_usd - costs[after - 1]) / (costs[after] - costs[after - 1])
        return ((self.policies[after - 1], 1.0 - share), (self.policies[after], share))


def fit_frontier(quality: Floats, cost: Floats, scores: Floats, costs: Floats) -> Frontier:
    """Return the hull of the single models and of the priced policies that lead them by more than chance.

    Args:
        quality: a router's held-out answers, shape (n, models).
        cost: expected dollars, shape (models,).
        scores, costs: what really happened, shape (n, models).
    """
    n = len(scores)
    found: dict[Point, Policy] = {point: Policy(None, i) for i, point in reversed(list(enumerate(single_points(scores, costs))))}
    for price in LAMBDAS:
        taken = choose(quality, cost, price)
        got, paid = scores[np.arange(n), taken], costs[np.arange(n), taken]
        careful = float(got.mean()) - MARGIN * float(got.std()) / float(np.sqrt(n))
        found.setdefault((float(paid.mean()), careful), Policy(price, None))
    line = hull(list(found))
    return Frontier(tuple(found[point] for point in line), tuple(line))
