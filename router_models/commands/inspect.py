"""`inspect`: what an artifact says about itself, after every check of loading."""

from __future__ import annotations

import argparse
from pathlib import Path

from router_models.artifact import builtin, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("artifact", type=Path, nargs="?", help="artifact folder; the builtin one when left out")


def run(options: argparse.Namespace) -> int:
    """Print the card."""
    artifact = load(options.artifact) if options.artifact else builtin()
    card = artifact.card
    print(f"{card.kind} router, artifact {card.artifact_id}")
    print(f"models: {', '.join(card.models)}")
    print(f"label: {card.label}")
    for source in card.data:
        print(f"data: {source.file}, {source.rows} rows, {source.licence}, sha256 {source.sha256}")
    for name, values in card.metrics.items():
        print(
            f"{name}: " + ", ".join(f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items())
        )
    if card.gain_knots:
        print("win rate -> gain: " + "  ".join(f"{p:.3f} -> {g:+.3f}" for p, g in card.gain_knots))
    if card.score_quantiles:
        print("win rate at quantiles 5/25/50/75/95 %: " + " ".join(f"{card.score_quantiles[q]:.3f}" for q in (5, 25, 50, 75, 95)))
    print(f"it {artifact.router.weakness}")
    print(f"golden prompts: {len(card.golden)} reproduced; features {card.feature_hash[:12] or 'none'}; recipe {dict(card.recipe)}")
    return 0
