"""`score`: win rates of a file's prompts, in row order, as a .npy file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from router_models.artifact import builtin, load
from router_models.card import win_rates
from router_models.data import read_requests


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--artifact", type=Path, help="artifact folder; the builtin one when left out")
    parser.add_argument("--data", type=Path, required=True, help=".parquet, .jsonl or .csv with a column prompt, or messages")
    parser.add_argument("--out", type=Path, required=True, help="file to write: float64 win rates, one per row, row order")


def run(options: argparse.Namespace) -> int:
    """Score and write."""
    artifact = load(options.artifact) if options.artifact else builtin()
    prompts, chats = read_requests(options.data)
    win = win_rates(artifact.card, artifact.router.quality(prompts, chats))
    with options.out.open("wb") as file:
        np.save(file, win, allow_pickle=False)
    novel = sum(map(artifact.router.is_out_of_domain, prompts))
    print(f"wrote {options.out}: {len(win)} win rates of {artifact.card.kind} {artifact.card.short_id}; {novel} prompts out of domain")
    return 0
