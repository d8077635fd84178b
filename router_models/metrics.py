"""How good is a routing score: PGR, APGR, CPT, AUC, Brier, calibration error. Pure numpy.

Definitions (Ong et al., RouteLLM, arXiv:2406.18665): Q(a) is the mean score when the share a of prompts with the highest routing scores
goes to the strong model; PGR(a) = (Q(a) - Q_weak) / (Q_strong - Q_weak); APGR is its area over a in [0, 1]; CPT(x) is the smallest a with
PGR(a) >= x. The curve here is exact: every cut point, trapezoids between them, and prompts with tied scores enter in equal parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pgr_curve(score: Floats, strong: Floats, weak: Floats) -> Floats:
    """Return PGR at shares 0, 1/n, .. 1; shape (n + 1,).

    Raises: ValueError when both models score the same on average, where PGR is not defined.
    """
    gap = strong - weak
    total = float(gap.sum())
    if total == 0.0:
        raise ValueError("strong and weak model have equal mean scores: PGR is not defined")
    order = np.argsort(-score, kind="stable")
    sorted_score, gain = score[order], gap[order]
    starts = np.flatnonzero(np.r_[True, sorted_score[1:] != sorted_score[:-1]])
    sizes = np.diff(np.r_[starts, len(gain)])
    shared: Floats = np.repeat(np.add.reduceat(gain, starts) / sizes, sizes)
    return np.concatenate([[0.0], np.cumsum(shared) / total])


def apgr(score: Floats, strong: Floats, weak: Floats) -> float:
    """Return the area under the PGR curve; 0.5 for a coin, above 1 only where the strong model is sometimes worse."""
    curve = pgr_curve(score, strong, weak)
    return float(np.trapezoid(curve, dx=1.0 / (len(curve) - 1)))


def drawn_apgr(score: Floats, strong: Floats, weak: Floats, draws: Sequence[NDArray[np.int64]]) -> list[float]:
    """Return APGR on each bootstrap draw; draws on which both models score the same, where it is not defined, are left out."""
    gap = strong - weak
    return [apgr(score[d], strong[d], weak[d]) for d in draws if float(gap[d].sum()) != 0.0]


def cpt(score: Floats, strong: Floats, weak: Floats, reach: float) -> float:
    """Return the smallest strong share at which PGR reaches `reach` (0..1)."""
    curve = pgr_curve(score, strong, weak)
    return float(np.argmax(curve >= reach)) / (len(curve) - 1)


def auc(score: Floats, label: Floats) -> float | None:
    """Return P(score of a positive > score of a negative), ties half; None without both kinds."""
    positive = label > 0.5
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    if n_pos == 0 or n_neg == 0:
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    return float((ranks[positive].sum() - n_pos * (n_pos + 1) / 2.0) / (n_pos * n_neg))


def brier(probability: Floats, label: Floats) -> float:
    """Return the mean squared error of a probability."""
    return float(np.mean((probability - label) ** 2))


def calibration_error(probability: Floats, label: Floats, bins: int = 10) -> tuple[float, float]:
    """Return (ECE, debiased ECE) over equal-mass bins.

    ECE = weighted mean |mean label - mean probability|; even a perfect predictor has one above zero. The debiased form takes the
    squared gap of each bin, less the variance that its mean label has by chance, and returns the root of the weighted mean, floored at
    zero: a perfect predictor comes out near zero (Kumar et al., arXiv:1909.10155).
    """
    order = np.argsort(probability, kind="stable")
    plain = squared = 0.0
    for part in np.array_split(order, min(bins, len(order))):
        gap = float(label[part].mean() - probability[part].mean())
        weight = len(part) / len(order)
        plain += weight * abs(gap)
        chance = float(label[part].var()) / (len(part) - 1) if len(part) > 1 else 0.0
        squared += weight * (gap * gap - chance)
    return plain, float(np.sqrt(max(squared, 0.0)))


def perfect_calibration_band(probability: Floats, bins: int = 10, draws: int = 1000, seed: int = 1) -> float:
    """Return the 97.5 % quantile of the plain ECE that these probabilities would have if they were exactly true."""
    rng = np.random.default_rng(seed)
    drawn = ((rng.uniform(size=len(probability)) < probability).astype(np.float64) for _ in range(draws))
    found = [calibration_error(probability, label, bins)[0] for label in drawn]
    return float(np.quantile(found, 0.975))


def oracle(strong: Floats, weak: Floats) -> Floats:
    """Return the score of a router that sees the answers: gains first, ties next, losses last."""
    return strong - weak


def resamples(groups: NDArray[np.int64] | None, rows: int, draws: int, seed: int) -> list[NDArray[np.int64]]:
    """Return bootstrap draws of row numbers; whole groups are drawn when groups are given."""
    rng = np.random.default_rng(seed)
    if groups is None:
        return [rng.integers(0, rows, rows) for _ in range(draws)]
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    return [np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))]) for _ in range(draws)]


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles."""
    low, high = np.quantile(np.array(values), [0.025, 0.975])
    return float(low), float(high)
