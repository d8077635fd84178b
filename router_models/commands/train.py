"""`train`: data and recipe in, artifact folder out."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from router_models.artifact import save
from router_models.card import Source
from router_models.data import read_scores
from router_models.recipe import Recipe, read_recipe
from router_models.routers.registry import ROUTERS
from router_models.split import fold
from router_models.train import train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--config", type=Path, help="recipe, e.g. config/routers/default.yaml")
    parser.add_argument("--kind", choices=sorted(ROUTERS), help="train this router with its defaults instead of a recipe")
    parser.add_argument("--data", type=Path, required=True, nargs="+", help="Parquet file(s) with columns prompt and score.<model>")
    parser.add_argument("--strong", required=True, help="name of the strong model's score column, without 'score.'")
    parser.add_argument("--weak", required=True, help="name of the weak model's score column")
    parser.add_argument("--hold-out-fold", type=int, choices=range(5), help="leave out this fold of the question stem")
    parser.add_argument("--drop-where", help="leave out rows where this boolean column is true")
    parser.add_argument("--out", type=Path, required=True, help="folder to write arrays.npz and card.json to")


def run(options: argparse.Namespace) -> int:
    """Train, write the artifact and print its metrics."""
    if (options.config is None) == (options.kind is None):
        raise ValueError("give either --config RECIPE or --kind ROUTER")
    recipe = read_recipe(options.config) if options.config else Recipe(options.kind)
    hold_out = recipe.hold_out_fold if options.hold_out_fold is None else options.hold_out_fold
    drop_where = options.drop_where or recipe.drop_where
    recipe = Recipe(recipe.kind, recipe.options, drop_where, hold_out, recipe.licences)
    if len(options.data) != 1:
        raise ValueError("one data file at a time in this version")
    path: Path = options.data[0]
    loaded = read_scores(path, [options.strong, options.weak], drop_where)
    for why, rows in loaded.dropped:
        print(f"left out {rows} rows: {why}")
    table = loaded.table
    if hold_out is not None:
        keep = np.array([i for i, prompt in enumerate(table.prompts) if fold(prompt) != hold_out], dtype=np.int64)
        print(f"left out {len(table) - len(keep)} rows: fold {hold_out} is held out")
        table = table.take(keep)
    source = Source(path.name, loaded.sha256, recipe.licences.get(path.name, "not stated"), len(table))
    trained = train(recipe, table, [source], print)
    card = save(options.out, trained.card, trained.router.arrays())
    size = sum(f.stat().st_size for f in options.out.iterdir() if f.is_file())
    print(f"wrote {options.out}: {card.kind} {card.short_id}, {size / 1e6:.2f} MB")
    print(f"it {trained.router.weakness}")
    for name, value in card.metrics.get("cross_fit", {}).items():
        print(f"  {name}: {value}")
    return 0
