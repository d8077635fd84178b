"""Reads scored prompts from Parquet files into a ScoreTable, with the hash of every file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from router_models.table import ScoreTable

SCORE_PREFIX = "score."
"""Column `score.<model>` holds that model's score in 0..1 on the row's prompt; NaN or null means missing."""


class DataError(ValueError):
    """A data file cannot be used; the message names file and reason."""


@dataclass(frozen=True)
class Loaded:
    """A table and what was left out of it."""

    table: ScoreTable
    sha256: str
    dropped: tuple[tuple[str, int], ...]
    """(reason, rows), nothing is left out in silence."""


def read_scores(path: Path, models: Sequence[str], drop_where: str | None = None) -> Loaded:
    """Read one Parquet file.

    Args:
        path: file with columns `prompt`, `score.<model>` for each model, optionally `group`.
        models: column order of the result, strong first.
        drop_where: a boolean column; rows where it is true are left out.
    Raises: DataError when the file, a column or every row is missing, or a score lies outside 0..1.
    """
    from pyarrow import parquet

    try:
        raw = path.read_bytes()
        columns = parquet.ParquetFile(path).schema_arrow.names
    except (OSError, ValueError) as exc:
        raise DataError(f"{path}: cannot be read as Parquet ({exc})") from exc
    if missing := [c for c in ("prompt", *(SCORE_PREFIX + m for m in models), *filter(None, [drop_where])) if c not in columns]:
        known = [c.removeprefix(SCORE_PREFIX) for c in columns if c.startswith(SCORE_PREFIX)]
        raise DataError(f"{path}: no column {missing}; models in it: {known}")
    wanted = ["prompt", *(["group"] if "group" in columns else []), *(SCORE_PREFIX + m for m in models), *filter(None, [drop_where])]
    content = parquet.read_table(path, columns=wanted).to_pydict()
    scores = np.array([content[SCORE_PREFIX + m] for m in models], dtype=np.float64).T
    if np.any((scores < 0.0) | (scores > 1.0)):
        line = int(np.flatnonzero(((scores < 0.0) | (scores > 1.0)).any(axis=1))[0])
        raise DataError(f"{path}: row {line} has a score outside 0..1")
    marked = np.array(content[drop_where], dtype=bool) if drop_where else np.zeros(len(scores), dtype=bool)
    incomplete = np.isnan(scores).any(axis=1) & ~marked
    keep = np.flatnonzero(~marked & ~incomplete)
    if not len(keep):
        raise DataError(f"{path}: no row has a score of every model in {list(models)}")
    groups = content.get("group") or [""] * len(scores)
    table = ScoreTable(tuple(models), [content["prompt"][i] for i in keep], [groups[i] or "" for i in keep], scores[keep])
    dropped = tuple(
        (why, n) for why, n in ((f"{drop_where} is true", int(marked.sum())), ("a score is missing", int(incomplete.sum()))) if n
    )
    return Loaded(table, hashlib.sha256(raw).hexdigest(), dropped)
