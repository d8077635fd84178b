"""Monotone maps from a raw score to calibrated qualities, win rate and gain, as lists of knots.

Two models share **one** score. Its knots carry a win rate p (probability that the strong answer is strictly better) and a gain g (expected
strong score minus weak score), both strictly increasing, so a threshold on p and a threshold on g pick the same prompts and every strong
share can be reached. A second number, the level (mean of both models' expected scores), says how hard the prompt is for both:

    q_weak = clip(level - g/2),  q_strong = q_weak + g

so the difference of the two qualities is the gain, and nothing else. A tie is not a win: equal answers are no reason to pay more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIN_LABEL = "1 when the strong model's score is strictly higher than the weak model's on the same prompt, else 0 (a tie is not a win)"

BINS_MAX = 24
"""Equal-mass bins that a calibration starts from, before violators are pooled; about 370 prompts each on the default data."""
FLAT = 0.02
"""Least rise beyond the outermost knots, in units of what is left to the end: enough to keep prompts in order, too little to matter."""
BIN_ROWS = 60
"""Rows that a bin needs at least: a mean of 60 outcomes is known to about 6 points, fewer would fit noise."""

Knots = tuple[tuple[float, float], ...]
Floats = NDArray[np.float64]


class Interpolation:
    """A piecewise-linear, strictly increasing function through knots; constant beyond both ends."""

    __slots__ = ("_last", "_slopes", "_x", "_y")

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        if len(x) != len(y) or len(x) < 2:
            raise ValueError("needs at least two knots")
        if any(not b > a for a, b in pairwise(x)) or any(not b > a for a, b in pairwise(y)):
            raise ValueError("knots must be strictly increasing in both coordinates")
        self._x, self._y = list(map(float, x)), list(map(float, y))
        self._slopes = [(self._y[i + 1] - self._y[i]) / (self._x[i + 1] - self._x[i]) for i in range(len(x) - 1)]
        self._last = len(x) - 1

    def __call__(self, at: float) -> float:
        """Return the value at `at`."""
        i = bisect_right(self._x, at) - 1
        if i < 0:
            return self._y[0]
        if i >= self._last:
            return self._y[-1]
        # min: rounding must not lift the value above the next knot, or neighbours could swap order.
        value, top = self._y[i] + (at - self._x[i]) * self._slopes[i], self._y[i + 1]
        return value if value < top else top

    def inverse(self) -> Interpolation:
        """Return the function that undoes this one between its ends."""
        return Interpolation(self._y, self._x)


@dataclass(frozen=True)
class PairCalibration:
    """Knots for two models: score -> (win rate, gain), and raw level -> level."""

    score: tuple[float, ...]
    win_rate: tuple[float, ...]
    gain: tuple[float, ...]
    raw_level: tuple[float, ...]
    level: tuple[float, ...]
    strong_in_level: float = 0.5
    """Share of the strong model's raw quality in the raw level, 0..1; the rest is the weak model's."""

    def gain_knots(self) -> Knots:
        """Return the map win rate -> gain, from win rate 0 to 1."""
        return tuple(zip(self.win_rate, self.gain))

    def to_json(self) -> dict[str, Any]:
        """Return the knots as JSON lists; floats survive the round trip exactly."""
        knots = {name: list(getattr(self, name)) for name in ("score", "win_rate", "gain", "raw_level", "level")}
        return {**knots, "strong_in_level": self.strong_in_level}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PairCalibration:
        """Read what `to_json` wrote.

        Raises: KeyError, TypeError or ValueError when something is missing, not a number or not increasing.
        """
        knots = {name: tuple(float(v) for v in content[name]) for name in ("score", "win_rate", "gain", "raw_level", "level")}
        made = cls(**knots, strong_in_level=float(content["strong_in_level"]))
        if not 0.0 <= made.strong_in_level <= 1.0:
            raise ValueError("strong_in_level lies outside 0..1")
        Interpolation(made.score, made.win_rate)
        Interpolation(made.win_rate, made.gain)
        Interpolation(made.raw_level, made.level)
        if made.win_rate[0] != 0.0 or made.win_rate[-1] != 1.0:
            raise ValueError("win rate knots must run from 0 to 1")
        return made


class PairQualities:
    """Applies a PairCalibration: (score, raw level) -> (q_strong, q_weak)."""

    __slots__ = ("_gain", "_level")

    def __init__(self, calibration: PairCalibration) -> None:
        self._gain = Interpolation(calibration.score, calibration.gain)
        self._level = Interpolation(calibration.raw_level, calibration.level)

    def __call__(self, score: float, raw_level: float) -> tuple[float, float]:
        """Return both qualities in [0, 1]; their difference is the calibrated gain of `score`."""
        gain = self._gain(score)
        weak = self._level(raw_level) - 0.5 * gain
        # Clip the weak quality so that the strong one, a whole gain above it, stays in [0, 1] as well.
        low, high = (0.0, 1.0 - gain) if gain >= 0.0 else (-gain, 1.0)
        if not low <= weak <= high:
            weak = min(max(weak, low), high)
        strong = weak + gain
        return strong if 0.0 <= strong <= 1.0 else min(max(strong, 0.0), 1.0), weak


@dataclass(frozen=True)
class ManyCalibration:
    """Knots for each of m models on its own: raw quality -> quality."""

    raw: tuple[tuple[float, ...], ...]
    quality: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, list[list[float]]]:
        """Return the knots as JSON lists."""
        return {"raw": [list(x) for x in self.raw], "quality": [list(y) for y in self.quality]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ManyCalibration:
        """Read what `to_json` wrote.

        Raises: KeyError, TypeError or ValueError when something is missing, not a number or not increasing.
        """
        made = cls(*(tuple(tuple(float(v) for v in knots) for knots in content[name]) for name in ("raw", "quality")))
        if len(made.raw) != len(made.quality):
            raise ValueError("raw and quality knots are not of equal number")
        ManyQualities(made)
        return made


class ManyQualities:
    """Applies a ManyCalibration to m raw qualities."""

    __slots__ = ("_maps",)

    def __init__(self, calibration: ManyCalibration) -> None:
        self._maps = [Interpolation(x, y) for x, y in zip(calibration.raw, calibration.quality)]

    def __call__(self, raw: tuple[float, ...]) -> tuple[float, ...]:
        """Return one quality per model."""
        return tuple(m(r) for m, r in zip(self._maps, raw))


Calibration = PairCalibration | ManyCalibration


def calibrate(raw: Floats, scores: Floats, weights: Floats | None = None) -> Calibration:
    """Fit knots on held-out raw qualities in [0, 1]: jointly for two models, one by one for any other number.

    Args:
        raw, scores: float64, shape (n, models), strong model first.
        weights: shape (n,), positive, how often a row counts; None: once each.
    """
    weights = np.ones(len(raw)) if weights is None else weights
    if scores.shape[1] == 2:
        share = _strong_in_level(raw, scores.mean(axis=1), weights)
        level = share * raw[:, 0] + (1.0 - share) * raw[:, 1]
        return replace(fit_pair(raw[:, 0] - raw[:, 1], level, scores[:, 0], scores[:, 1], (-1.0, 1.0), weights), strong_in_level=share)
    knots = [_single(raw[:, m], scores[:, m], _bins(len(raw)), weights) for m in range(scores.shape[1])]
    return ManyCalibration(tuple(x for x, _ in knots), tuple(y for _, y in knots))


def _strong_in_level(raw: Floats, mean_score: Floats, weights: Floats) -> float:
    """Return the mixture of both raw qualities that says most about the mean of both scores, by least squares, in 0..1."""
    root = np.sqrt(weights)
    columns = np.column_stack([raw, np.ones(len(raw))]) * root[:, None]
    (strong, weak, _), _, rank, _ = np.linalg.lstsq(columns, mean_score * root, rcond=None)
    # Without three independent columns there is nothing to tell the two apart by.
    return float(strong / (strong + weak)) if rank == 3 and min(strong, weak) >= 0.0 and strong + weak > 0.0 else 0.5


def _bins(rows: int) -> int:
    return min(max(rows // BIN_ROWS, 2), BINS_MAX)


def _single(x: Floats, y: Floats, bins: int, weights: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return strictly increasing knots from (0, 0) to (1, 1) for one target."""
    at, values = _knots(x, y.reshape(-1, 1), bins, (0.0, 1.0), np.array([0.0]), np.array([1.0]), weights)
    return (0.0, *map(float, at), 1.0), (0.0, *map(float, values[:, 0]), 1.0)


def fit_pair(
    score: Floats,
    raw_level: Floats,
    strong: Floats,
    weak: Floats,
    score_range: tuple[float, float],
    weights: Floats | None = None,
) -> PairCalibration:
    """Fit the knots on prompts that the scoring model did not train on.

    Args:
        score, raw_level, strong, weak: float64, shape (n,), n >= 1; strong and weak are the two models' scores in [0, 1].
        score_range: ends of what `score` can ever be; win rate is 0 at the lower and 1 at the upper end.
        weights: shape (n,), positive, how often a row counts; None: once each.
    """
    weights = np.ones(len(score)) if weights is None else weights
    bins = _bins(len(score))
    wins = (strong > weak).astype(np.float64)
    targets = np.column_stack([wins, strong - weak])
    x, found = _knots(score, targets, bins, score_range, np.array([0.0, -1.0]), np.array([1.0, 1.0]), weights)
    # Where the strong model never wins, what is left of the gain is its losses: as many as at the lowest knot.
    floor = max(-1.0, float(found[0, 1] - found[0, 0])) if len(x) else -1.0
    raw_knots, level_knots = _single(raw_level, (strong + weak) / 2.0, bins, weights)
    return PairCalibration(
        score=(score_range[0], *map(float, x), score_range[1]),
        win_rate=(0.0, *map(float, found[:, 0]), 1.0),
        gain=(floor, *map(float, found[:, 1]), 1.0),
        raw_level=raw_knots,
        level=level_knots,
    )


def _knots(
    x: Floats,
    targets: Floats,
    bins: int,
    x_range: tuple[float, float],
    low: Floats,
    high: Floats,
    weights: Floats,
) -> tuple[Floats, Floats]:
    """Return knots strictly inside x_range and low..high, increasing in x and in every target.

    Args:
        x: shape (n,). targets: shape (n, t). low, high: targets at the ends of x_range, shape (t,).
    """
    at, values = _pooled(x, targets, bins, weights)
    # Half an observation per bin is what a bin can tell at most; it keeps the values off the ends.
    edge = 0.5 * bins / (len(x) + bins)
    values = np.clip(values, low + edge * (high - low), high - edge * (high - low))
    # The line to the far end of x_range would be a slope that no data showed: go on as between the outer knots, up to the outermost x seen.
    for end, seen, limit in ((0, float(x.min()), low), (-1, float(x.max()), high)):
        reach = abs(seen - at[end])
        if reach > 0.0:
            inner = 1 if end == 0 else -2
            # At most half of the last step: a steep outer pair of knots may be chance, and its line would run far.
            step = np.zeros_like(low)
            if len(at) > 1:
                rise = np.abs(values[inner] - values[end])
                step = rise * min(reach / abs(float(at[inner] - at[end])), 0.5)
            room = np.abs(limit - values[end])
            step = np.clip(step, FLAT * room, 0.5 * room)
            outer = values[end] + (step if end == -1 else -step)
            at, values = (
                (np.append(at, seen), np.vstack([values, outer])) if end == -1 else (np.append(seen, at), np.vstack([outer, values]))
            )
    keep: list[int] = []
    for i in range(len(at)):
        inside = x_range[0] < at[i] < x_range[1]
        if inside and (not keep or (at[i] > at[keep[-1]] and np.all(values[i] > values[keep[-1]]))):
            keep.append(i)
    return at[keep], values[keep]


def _pooled(x: Floats, targets: Floats, bins: int, weights: Floats) -> tuple[Floats, Floats]:
    """Return mean x and mean targets of bins, neighbours pooled until every target strictly increases (pool adjacent violators)."""
    order = np.argsort(x, kind="stable")
    pools: list[tuple[float, Floats, float]] = []
    for part in np.array_split(order, min(bins, len(order))):
        weight = weights[part]
        total = float(weight.sum())
        pools.append((float(weight @ x[part]) / total, (weight @ targets[part]) / total, total))
        while len(pools) > 1 and (not np.all(pools[-1][1] > pools[-2][1]) or not pools[-1][0] > pools[-2][0]):
            (x2, y2, n2), (x1, y1, n1) = pools.pop(), pools.pop()
            pools.append(((x1 * n1 + x2 * n2) / (n1 + n2), (y1 * n1 + y2 * n2) / (n1 + n2), n1 + n2))
    return np.array([p[0] for p in pools]), np.array([p[1] for p in pools])
