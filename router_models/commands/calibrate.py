"""`calibrate`: the threshold that sends a given share of prompts to the strong model."""

from __future__ import annotations

import argparse
from pathlib import Path

from router_models.artifact import builtin, load
from router_models.card import win_rates
from router_models.data import read_requests
from router_models.quantile import threshold_for_share


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--artifact", type=Path, help="artifact folder; the builtin one when left out")
    parser.add_argument("--data", type=Path, help="prompts like your traffic; default: the held-out sample on the card")
    parser.add_argument("--strong-share", type=float, required=True, help="share of prompts for the strong model, 0..1")


def run(options: argparse.Namespace) -> int:
    """Print the threshold."""
    if not 0.0 <= options.strong_share <= 1.0:
        raise ValueError(f"--strong-share must lie in 0..1, not {options.strong_share}")
    artifact = load(options.artifact) if options.artifact else builtin()
    quality = artifact.router.quality(*read_requests(options.data)) if options.data else artifact.card.sample
    win = win_rates(artifact.card, quality)
    threshold = threshold_for_share(win, options.strong_share)
    share = float((win >= threshold).mean())
    source = options.data.name if options.data else "the card's sample"
    print(
        f"For {options.strong_share:.1%} strong calls on {source} ({len(win)} prompts), threshold = {threshold:.6f} ({share:.1%} reached)"
    )
    print("Other traffic has other win rates: on it the same threshold gives another share.")
    return 0
