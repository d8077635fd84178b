"""`train`: data and recipe in, artifact folder out."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from router_models.artifact import save
from router_models.card import Source
from router_models.data import DataError, Loaded, model_names, read_scores, refuse_leak
from router_models.embedding import Embedder
from router_models.evaluate import compare, table_text
from router_models.recipe import Recipe, read_recipe
from router_models.routers.registry import ROUTERS
from router_models.split import fold
from router_models.table import ScoreTable, joined
from router_models.train import WEIGHTED, answers, train

ALIASES = {"linear": "logistic"}
SPANS_MAX = 20
"""Spans of lines on one line of output."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--config", type=Path, help="recipe, e.g. config/routers/default.yaml")
    parser.add_argument("--kind", choices=sorted([*ROUTERS, *ALIASES]), help="train this router with its defaults instead of a recipe")
    parser.add_argument(
        "--data", type=Path, required=True, nargs="+", help=".parquet, .jsonl or .csv with columns prompt and score.<model>"
    )
    parser.add_argument("--background", type=Path, help="prompts with scores of any other models, to learn from what makes a prompt hard")
    parser.add_argument("--strong", help="name of the strong model's score column, without 'score.'")
    parser.add_argument("--weak", help="name of the weak model's score column")
    parser.add_argument("--models", nargs="+", help="instead of --strong and --weak: any number of models, best first")
    parser.add_argument("--hold-out-fold", type=int, choices=range(5), help="leave out this fold of the question stem")
    parser.add_argument("--drop-where", help="leave out rows where this boolean column is true")
    parser.add_argument("--evaluate", type=Path, help="also evaluate on this file; refused when it shares questions with the training data")
    parser.add_argument("--embedder", metavar="NAME=MODULE:FUNCTION", help="sentence embedding for kind dense; yours, imported only now")
    parser.add_argument("--out", type=Path, required=True, help="folder to write arrays.npz and card.json to")
    add_bad_rows(parser)


def run(options: argparse.Namespace) -> int:
    """Train, write the artifact and print its metrics."""
    if (options.config is None) == (options.kind is None):
        raise ValueError("give either --config RECIPE or --kind ROUTER")
    recipe = read_recipe(options.config) if options.config else Recipe(ALIASES.get(options.kind, options.kind))
    if recipe.sha256 and not any(path.name in recipe.sha256 for path in options.data):
        print("this is not the data that the recipe names: its 'drop_where' and 'hold_out_fold', which are about that data, do not apply")
        recipe = replace(recipe, drop_where=None, hold_out_fold=None, sha256={})
    hold_out = recipe.hold_out_fold if options.hold_out_fold is None else options.hold_out_fold
    recipe = replace(recipe, drop_where=options.drop_where or recipe.drop_where, hold_out_fold=hold_out)
    models: list[str] = options.models or [name for name in (options.strong, options.weak) if name]
    if len(models) < 2 or (options.models and (options.strong or options.weak)):
        raise ValueError("give --strong S --weak W, or --models BEST NEXT ...")
    tables, sources = [], []
    for path in options.data:
        loaded = read_scores(path, models, recipe.drop_where)
        refuse_other_data(recipe, path.name, loaded.sha256)
        tell_dropped(path, loaded, options.bad_rows)
        table = loaded.table
        if hold_out is not None:
            keep = np.array([i for i, prompt in enumerate(table.prompts) if fold(prompt) != hold_out], dtype=np.int64)
            print(f"{path.name}: left out {len(table) - len(keep)} rows: fold {hold_out} is held out")
            table = table.take(keep)
        tables.append(table)
        sources.append(Source(path.name, loaded.sha256, recipe.licences.get(path.name, "not stated"), len(table)))
    everything = joined(tables)
    if options.background:
        everything, source = with_background(everything, options.background, recipe, hold_out, options.bad_rows)
        sources.append(source)
    unseen = None
    if options.evaluate:
        loaded = read_scores(options.evaluate, models, recipe.drop_where)
        tell_dropped(options.evaluate, loaded, options.bad_rows)
        unseen = loaded.table
        asked = [*everything.prompts, *(everything.background.prompts if everything.background is not None else ())]
        refuse_leak(asked, unseen.prompts, options.evaluate.name)
    trained = train(recipe, everything, sources, print, embedders(options.embedder))
    card = save(options.out, trained.card, trained.router.arrays())
    size = sum(f.stat().st_size for f in options.out.iterdir() if f.is_file())
    print(f"wrote {options.out}: {card.kind} {card.short_id}, {size / 1e6:.2f} MB")
    print(f"it {trained.router.weakness}")
    if everything.chats is not None and not trained.router.reads_conversation:
        print(f"{card.kind} reads the newest question alone: turns, context, system prompts, tools and limits were not used")
    for name, value in card.metrics.get("cross_fit", {}).items():
        print(f"  {name}: {value}")
    if unseen is not None:
        quality = answers(trained.router, unseen)
        print(table_text(compare({card.kind: quality[:, 0] - quality[:, -1]}, unseen)))
    return 0


def with_background(
    table: ScoreTable, path: Path, recipe: Recipe, hold_out: int | None, bad_rows: Path | None
) -> tuple[ScoreTable, Source]:
    """Return the table with a background of all models in a file, without the held-out fold, and what the card says of it.

    Raises: DataError when the file cannot be used; ValueError when the recipe's router knows no background.
    """
    if recipe.kind not in WEIGHTED:
        raise ValueError(f"{recipe.kind} knows no background; train one of {sorted(WEIGHTED)}")
    loaded = read_scores(path, model_names(path))
    tell_dropped(path, loaded, bad_rows)
    known = [i for i, prompt in enumerate(loaded.table.prompts) if fold(prompt) != hold_out]
    background = loaded.table.take(np.array(known, dtype=np.int64))
    print(f"{path.name}: {len(known)} prompts answered by {len(background.models)} models as background")
    source = Source(path.name, loaded.sha256, recipe.licences.get(path.name, "not stated"), len(known))
    return replace(table, background=background), source


def refuse_other_data(recipe: Recipe, name: str, sha256: str) -> None:
    """Refuse a file that is not the one whose hash the recipe names.

    Raises: DataError saying both hashes.
    """
    if recipe.sha256 and recipe.sha256.get(name) != sha256:
        wanted = recipe.sha256.get(name, "no file of this name")
        raise DataError(f"{name} has sha256 {sha256}, the recipe names {wanted}; give that data, or a recipe without 'sha256'")


def add_bad_rows(parser: argparse.ArgumentParser) -> None:
    """Declare where rows that are left out can be listed."""
    parser.add_argument("--bad-rows", type=Path, help="CSV file to list every row in that was left out: file, line, reason")


def tell_dropped(path: Path, loaded: Loaded, bad_rows: Path | None) -> None:
    """Print how many rows were left out for which reason and on which lines; add each of them to `bad_rows`."""
    for why, rows in loaded.dropped().items():
        found = spans([row.line for row in loaded.bad if row.reason == why])
        more = ", ... (--bad-rows FILE lists them all)" if len(found) > SPANS_MAX else ""
        print(f"{path.name}: left out {rows} rows: {why} (lines {', '.join(found[:SPANS_MAX])}{more})")
    if bad_rows is not None:
        with bad_rows.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows((path.name, row.line, row.reason) for row in loaded.bad)


def spans(lines: Sequence[int]) -> list[str]:
    """Return ascending line numbers as text, neighbours as `first-last`."""
    found: list[list[int]] = []
    for line in lines:
        if found and line == found[-1][-1] + 1:
            found[-1] = [found[-1][0], line]
        else:
            found.append([line])
    return ["-".join(map(str, span)) for span in found]


def embedders(spec: str | None) -> dict[str, Embedder]:
    """Import the function that the user named on the command line.

    Raises: DataError when it cannot be found.
    """
    if spec is None:
        return {}
    name, _, target = spec.partition("=")
    module, _, function = target.partition(":")
    try:
        return {name: getattr(import_module(module), function)}
    except (ImportError, AttributeError, ValueError) as exc:
        raise DataError(f"--embedder {spec!r} cannot be imported ({exc}); write NAME=MODULE:FUNCTION") from exc
