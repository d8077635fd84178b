"""`evaluate`: an artifact beside its groups' means, length, random and oracle on scored prompts."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router_models.artifact import builtin, load
from router_models.card import win_rates
from router_models.commands.train import add_bad_rows, tell_dropped
from router_models.data import DataError, read_scores
from router_models.evaluate import compare, group_table, table_text
from router_models.frontier import aiq, cost_at, single_points, sweep
from router_models.metrics import auc, brier, calibration_error
from router_models.split import fold, stem_key
from router_models.table import ScoreTable
from router_models.train import answers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--artifact", type=Path, help="artifact folder; the builtin one when left out")
    parser.add_argument("--data", type=Path, required=True, help=".parquet, .jsonl or .csv with columns prompt and score.<model>")
    parser.add_argument("--strong", help="strong model's name in the data; default: the artifact's")
    parser.add_argument("--weak", help="weak model's name in the data; default: the artifact's")
    parser.add_argument("--fold", type=int, choices=range(5), help="only prompts of this fold of the question stem")
    parser.add_argument("--unseen-only", action="store_true", help="leave out questions of the training data instead of refusing")
    parser.add_argument("--drop-where", help="leave out rows where this boolean column is true")
    parser.add_argument(
        "--costs", action="store_true", help="all models of the artifact with cost.<model>: AIQ beside zero router and oracle"
    )
    parser.add_argument("--clustered", action="store_true", help="bootstrap whole groups (subjects) instead of rows")
    add_bad_rows(parser)


def run(options: argparse.Namespace) -> int:
    """Print the comparison; refuse data that the artifact was trained on."""
    artifact = load(options.artifact) if options.artifact else builtin()
    card = artifact.card
    strong, weak = options.strong or card.models[0], options.weak or card.models[-1]
    names = list(card.models) if options.costs else [strong, weak]
    loaded = read_scores(options.data, names, options.drop_where, with_costs=options.costs)
    tell_dropped(options.data, loaded, options.bad_rows)
    table = loaded.table
    if options.fold is not None:
        table = table.take(np.array([i for i, prompt in enumerate(table.prompts) if fold(prompt) == options.fold], dtype=np.int64))
    seen = np.isin(np.array([stem_key(prompt) for prompt in table.prompts], dtype=np.uint64), card.stems)
    if seen.any() and not options.unseen_only:
        raise DataError(f"{seen.sum()} of {len(seen)} rows ask questions that the artifact was trained on; give --fold or --unseen-only")
    table = table.take(np.flatnonzero(~seen))
    if not len(table):
        raise DataError("no row is left to evaluate on")
    quality = answers(artifact.router, table)
    if options.costs:
        print(f"{card.kind} {card.short_id} on {len(table)} rows of {options.data.name}, {len(names)} models")
        print(cost_text(card.kind, quality, table))
        print(f"it {artifact.router.weakness}")
        return 0
    q_strong, q_weak = table.scores.mean(axis=0)
    print(f"{card.kind} {card.short_id} on {len(table)} rows of {options.data.name}: {strong} {q_strong:.4f}, {weak} {q_weak:.4f}")
    scores = {card.kind: quality[:, 0] - quality[:, -1]}
    if len(set(table.groups)) > 1:
        # In sample for the topics, out of sample for the rows: what a look-up of the right group would be worth.
        scores["group table"] = group_table(table)
    print(table_text(compare(scores, table, options.clustered)))
    win = win_rates(card, quality)
    label = (table.scores[:, 0] > table.scores[:, 1]).astype(np.float64)
    ece, debiased = calibration_error(win, label)
    means, area = f"mean {win.mean():.4f} against {label.mean():.4f}", auc(win, label)
    print(f"win rate: {means}, AUC {area or 0.5:.4f}, Brier {brier(win, label):.4f}, ECE10 {ece:.4f} ({debiased:.4f} debiased)")
    novel = np.mean([artifact.router.is_out_of_domain(prompt) for prompt in table.prompts])
    print(f"out of domain: {novel:.1%}; it {artifact.router.weakness}")
    return 0


def cost_text(name: str, quality: NDArray[np.float64], table: ScoreTable) -> str:
    """Return a text table of AIQ and of the dollars per 1,000 calls at 98 % of the best single model's score."""
    assert table.costs is not None
    singles = single_points(table.scores, table.costs)
    span = (min(c for c, _ in singles), max(c for c, _ in singles))
    best = max(q for _, q in singles)
    points = {
        name: sweep(quality, table.costs.mean(axis=0), table.scores, table.costs),
        "zero router": singles,
        "oracle": sweep(table.scores, table.costs, table.scores, table.costs),
    }
    rows = [f"{'router':<22} {'AIQ':>7} {'$/1k at 98 %':>13}"]
    for label, found in points.items():
        reach = cost_at(found, 0.98 * best)
        rows.append(f"{label:<22} {aiq(found, span):7.4f} {'not reached' if reach is None else f'{1000 * reach:.2f}':>13}")
    return "\n".join(rows)
