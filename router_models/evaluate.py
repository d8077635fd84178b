"""Measures a router on scored prompts beside random, length and the oracle, with intervals and the paired gain over length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router_models.metrics import apgr, cpt, drawn_apgr, interval, oracle, resamples
from router_models.routers.random import RandomRouter
from router_models.split import stem_key
from router_models.table import ScoreTable

DRAWS = 400
SEED = 1
GROUP_PARTS = 7
SHRINK_ROWS = 10.0
"""Rows of the overall mean that a group's mean starts from."""


@dataclass(frozen=True)
class Line:
    """One router's row of the table."""

    name: str
    apgr: float
    apgr_interval: tuple[float, float]
    cpt_50: float
    cpt_80: float
    over_length: tuple[float, float, float]
    """Paired APGR gain over length: mean of the same rows, 2.5 % and 97.5 % bootstrap quantiles."""


def compare(scores: Mapping[str, NDArray[np.float64]], data: ScoreTable, clustered: bool = False) -> list[Line]:
    """Return one line per named routing score, and lines for random, length and oracle.

    Args:
        scores: name -> routing score per row, higher means strong model.
        clustered: draw whole groups instead of rows in the bootstrap.
    """
    strong, weak = data.scores[:, 0], data.scores[:, -1]
    coin = RandomRouter().quality(data.prompts)
    length = np.array([len(prompt) for prompt in data.prompts], dtype=np.float64)
    every = {**scores, "length": length, "random": coin[:, 0] - coin[:, 1], "oracle": oracle(strong, weak)}
    groups = np.unique(np.array(data.groups), return_inverse=True)[1].astype(np.int64) if clustered else None
    draws = resamples(groups, len(data), DRAWS, SEED)
    drawn = {name: drawn_apgr(score, strong, weak, draws) for name, score in every.items()}
    base = apgr(length, strong, weak)
    lines = []
    for name, score in every.items():
        area = apgr(score, strong, weak)
        low, high = interval([a - b for a, b in zip(drawn[name], drawn["length"])])
        shares = cpt(score, strong, weak, 0.5), cpt(score, strong, weak, 0.8)
        lines.append(Line(name, area, interval(drawn[name]), *shares, (area - base, low, high)))
    return lines


def group_table(data: ScoreTable) -> NDArray[np.float64]:
    """Return the baseline that knows nothing but each row's group: mean strong minus weak score of the group's rows in other parts.

    Parts hold whole question stems, and are not the folds, of which a caller may have kept one alone. Shrunk towards the mean of the other
    parts by SHRINK_ROWS, so that a row of a group that nobody else is in gets the mean.
    """
    gap = data.scores[:, 0] - data.scores[:, -1]
    parts = np.array([stem_key(prompt) % GROUP_PARTS for prompt in data.prompts])
    names, group = np.unique(np.array(data.groups), return_inverse=True)
    found = np.empty(len(data))
    for part in np.unique(parts):
        known = parts != part
        mean = float(gap[known].mean()) if known.any() else 0.0
        rows = np.bincount(group[known], minlength=len(names))
        total = np.bincount(group[known], gap[known], minlength=len(names))
        found[~known] = ((total + SHRINK_ROWS * mean) / (rows + SHRINK_ROWS))[group[~known]]
    return found


def table_text(lines: list[Line]) -> str:
    """Return the lines as a text table."""
    head = f"{'router':<14} {'APGR':>6} {'95 % interval':>16} {'CPT50':>6} {'CPT80':>6}   paired APGR gain over length"
    rows = [
        f"{r.name:<14} {r.apgr:6.3f} [{r.apgr_interval[0]:.3f}, {r.apgr_interval[1]:.3f}] {r.cpt_50:7.1%} {r.cpt_80:6.1%}"
        f"   {r.over_length[0]:+.3f} [{r.over_length[1]:+.3f}, {r.over_length[2]:+.3f}]"
        for r in lines
    ]
    return "\n".join([head, *rows])
