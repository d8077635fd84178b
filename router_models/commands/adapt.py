"""`adapt`: a trained artifact and a few hundred labels of other traffic in, an adapted artifact out."""

from __future__ import annotations

import argparse
from pathlib import Path

from router_models.artifact import builtin, load, save
from router_models.card import Source
from router_models.commands.train import add_bad_rows, tell_dropped
from router_models.data import read_scores
from router_models.train import adapt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--artifact", type=Path, help="artifact folder to start from; the builtin one when left out")
    parser.add_argument("--labels", type=Path, required=True, help=".parquet, .jsonl or .csv with prompt and score.<model>; 500 rows do")
    parser.add_argument("--strong", help="strong model's name in the labels; default: the artifact's")
    parser.add_argument("--weak", help="weak model's name in the labels; default: the artifact's")
    parser.add_argument("--licence", default="not stated", help="licence of the labels, for the card")
    parser.add_argument("--out", type=Path, required=True, help="folder to write arrays.npz and card.json to")
    add_bad_rows(parser)


def run(options: argparse.Namespace) -> int:
    """Adapt, write the artifact and print what it does on labels that it did not see."""
    artifact = load(options.artifact) if options.artifact else builtin()
    names = artifact.card.models
    if len(names) == 2:
        names = (options.strong or names[0], options.weak or names[1])
    loaded = read_scores(options.labels, names)
    tell_dropped(options.labels, loaded, options.bad_rows)
    source = Source(options.labels.name, loaded.sha256, options.licence, len(loaded.table))
    adapted = adapt(artifact, loaded.table, [source], print)
    card = save(options.out, adapted.card, adapted.router.arrays())
    print(f"wrote {options.out}: {card.kind} {card.short_id}, adapted from {artifact.card.short_id} with {len(loaded.table)} labels")
    for name, value in card.metrics.get("cross_fit", {}).items():
        print(f"  {name}: {value}")
    return 0
