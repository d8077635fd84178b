"""Reads scored prompts from Parquet, JSONL or CSV, or preference pairs, into a ScoreTable; nothing is dropped in silence.

A row asks either by `prompt` or, like the body of a chat call, by `messages` (with `tools`, `max_tokens` and their like, as JSON text where
the format has no lists); its question and what surrounds it are then taken by `conversation.read_chat`. Two layouts, told apart by the
columns:
- scores: `score.<model>` for each model (0..1; empty, null or NaN is missing), optionally `group`, `weight`, `cost.<model>`;
- preferences: `model_a`, `model_b`, `winner` (model_a, model_b or tie), one match a line; strong and weak model get 1 and 0, or
  0.5 each for a tie.
JSONL and CSV are read line by line, so only the columns asked for are ever in memory.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from router_models.conversation import ALONE, Chat, read_chat
from router_models.split import stem
from router_models.table import ScoreTable

SCORE_PREFIX = "score."
COST_PREFIX = "cost."
PARQUET_BATCH = 4096
"""Rows of a Parquet file in memory at once, besides what is kept."""
BODY = ("messages", "tools", "functions", "max_completion_tokens", "max_tokens")
"""Columns that make up the body of a chat call."""
WINNERS = {"model_a": (1.0, 0.0), "model_b": (0.0, 1.0), "tie": (0.5, 0.5), "tie (bothbad)": (0.5, 0.5)}


class DataError(ValueError):
    """A data file cannot be used; the message names file, line and reason."""


@dataclass(frozen=True)
class BadRow:
    """A row that was left out."""

    line: int
    """Line of the file, from 1; for Parquet the row, from 1."""
    reason: str


@dataclass(frozen=True)
class Loaded:
    """A table and what was left out of it."""

    table: ScoreTable
    sha256: str
    bad: tuple[BadRow, ...]

    def dropped(self) -> dict[str, int]:
        """Return reason -> number of rows."""
        counts: dict[str, int] = {}
        for row in self.bad:
            counts[row.reason] = counts.get(row.reason, 0) + 1
        return counts


def read_scores(path: Path, models: Sequence[str], drop_where: str | None = None, with_costs: bool = False) -> Loaded:
    """Read one file.

    Args:
        path: .parquet, .jsonl (or .ndjson) or .csv.
        models: column order of the result, strong first.
        drop_where: a boolean column; rows where it is true are left out.
        with_costs: also read `cost.<model>`, dollars per call; rows without one are left out.
    Raises: DataError when the file or a column is missing, a line cannot be parsed, or no row is left.
    """
    prompts: list[str] = []
    groups: list[str] = []
    scores: list[list[float]] = []
    weights: list[float] = []
    costs: list[list[float]] = []
    chats: list[Chat] = []
    bad: list[BadRow] = []
    for line, row in _rows(path):
        if drop_where is not None and drop_where not in row:
            raise DataError(f"{path}: no column {drop_where!r}")
        if drop_where is not None and _truth(row[drop_where]):
            bad.append(BadRow(line, f"{drop_where} is true"))
            continue
        asked = _question(row)
        if isinstance(asked, str):
            bad.append(BadRow(line, asked))
            continue
        found = _preference(row, models) if "winner" in row else _numbers(row, SCORE_PREFIX, models, path)
        weight = _number(row.get("weight", 1.0))
        dollars = _numbers(row, COST_PREFIX, models, path) if with_costs else []
        if isinstance(found, str) or isinstance(dollars, str):
            bad.append(BadRow(line, found if isinstance(found, str) else str(dollars)))
        elif any(not 0.0 <= s <= 1.0 for s in found):
            bad.append(BadRow(line, "a score lies outside 0..1"))
        elif weight is None or not weight > 0.0:
            bad.append(BadRow(line, "weight is not a positive number"))
        else:
            prompts.append(asked[0])
            chats.append(asked[1])
            groups.append(str(row.get("group") or ""))
            scores.append(found)
            weights.append(weight)
            costs.append(dollars)
    if not prompts:
        raise DataError(f"{path}: no row has a prompt and a score of every model in {list(models)}; first reasons: {bad[:3]}")
    table = ScoreTable(
        tuple(models),
        prompts,
        groups,
        np.array(scores, dtype=np.float64),
        np.array(weights, dtype=np.float64),
        np.array(costs, dtype=np.float64) if with_costs else None,
        chats if any(chat != ALONE for chat in chats) else None,
    )
    return Loaded(table, _sha256(path), tuple(bad))


def read_requests(path: Path) -> tuple[list[str], list[Chat]]:
    """Return the questions of a file in row order, and what surrounds each.

    Raises: DataError when a row has none: scores must keep the file's row order.
    """
    prompts, chats = [], []
    for line, row in _rows(path):
        asked = _question(row)
        if isinstance(asked, str):
            raise DataError(f"{path}:{line}: {asked}")
        prompts.append(asked[0])
        chats.append(asked[1])
    return prompts, chats


def model_names(path: Path) -> list[str]:
    """Return the models that a file of scores holds, in column order."""
    for _, row in _rows(path):
        return [name.removeprefix(SCORE_PREFIX) for name in row if name.startswith(SCORE_PREFIX)]
    return []


def refuse_leak(training: Sequence[str], evaluation: Sequence[str], name: str) -> None:
    """Refuse to evaluate on questions that were trained on.

    Raises: DataError naming how many rows share their question stem with training rows, and one of them.
    """
    seen = {stem(prompt) for prompt in training}
    if shared := [prompt for prompt in evaluation if stem(prompt) in seen]:
        raise DataError(f"{name}: {len(shared)} rows ask questions of the training data, e.g. {shared[0][:60]!r}; split by question stem")


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    kind = path.suffix.lower()
    reader = {".parquet": _parquet_rows, ".jsonl": _jsonl_rows, ".ndjson": _jsonl_rows, ".csv": _csv_rows}.get(kind)
    if reader is None:
        raise DataError(f"{path}: cannot tell the format from {kind!r}; use .parquet, .jsonl or .csv")
    try:
        yield from reader(path)
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc})") from exc


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    from pyarrow import ArrowInvalid, parquet

    try:
        file = parquet.ParquetFile(path)
        line = 0
        for batch in file.iter_batches(PARQUET_BATCH):
            for row in batch.to_pylist():
                line += 1
                yield line, row
    except ArrowInvalid as exc:
        raise DataError(f"{path}: cannot be read as Parquet ({exc})") from exc


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except ValueError as exc:
                raise DataError(f"{path}:{number}: not JSON ({exc})") from exc
            if not isinstance(row, dict):
                raise DataError(f"{path}:{number}: not an object")
            yield number, row


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(2**24)
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as exc:
            raise DataError(f"{path}:{reader.line_num}: not CSV ({exc})") from exc


def _question(row: Mapping[str, Any]) -> tuple[str, Chat] | str:
    """Return the question and what surrounds it, or the reason why there is none."""
    if isinstance(prompt := row.get("prompt"), str):
        return prompt, ALONE
    if row.get("messages") is None:
        return "prompt is missing"
    try:
        return read_chat({key: _unpacked(row.get(key)) for key in BODY})
    except (TypeError, ValueError) as exc:
        return f"messages cannot be read ({exc})"


def _unpacked(value: Any) -> Any:
    """Return a member of a chat body, which formats without lists hold as JSON text; empty text is nothing."""
    return (json.loads(value) if value.strip() else None) if isinstance(value, str) else value


def _numbers(row: Mapping[str, Any], prefix: str, models: Sequence[str], path: Path) -> list[float] | str:
    """Return one number per model, or the reason why there is none."""
    if missing := [prefix + m for m in models if prefix + m not in row]:
        known = [name.removeprefix(prefix) for name in row if name.startswith(prefix)]
        raise DataError(f"{path}: no column {missing}; models in it: {known}")
    found = [_number(row[prefix + m]) for m in models]
    complete = [v for v in found if v is not None]
    return complete if len(complete) == len(found) else f"a {prefix.rstrip('.')} is missing"


def _preference(row: Mapping[str, Any], models: Sequence[str]) -> list[float] | str:
    """Return (1, 0), (0, 1) or (0.5, 0.5) in the order of `models`, or the reason why there is none."""
    if len(models) != 2:
        raise DataError("preference pairs train routers between two models only")
    a, b, winner = row.get("model_a"), row.get("model_b"), row.get("winner")
    if {a, b} != set(models):
        return "the pair is of other models"
    if winner in (a, b):
        winner = "model_a" if winner == a else "model_b"
    if winner not in WINNERS:
        return "winner is not model_a, model_b or tie"
    first, second = WINNERS[str(winner)]
    return [first, second] if a == models[0] else [second, first]


def _number(value: object) -> float | None:
    if isinstance(value, str) and value.strip():
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return float(value) if isinstance(value, bool) else None
    return float(value)


def _truth(value: object) -> bool:
    return value.strip().lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
