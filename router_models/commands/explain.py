"""`explain`: what an artifact says about one prompt, and which features moved it."""

from __future__ import annotations

import argparse
from pathlib import Path

from router_models.artifact import builtin, load
from router_models.routers.logistic import LogisticRouter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--artifact", type=Path, help="artifact folder; the builtin one when left out")
    parser.add_argument("--top", type=int, default=12, help="features to print")
    parser.add_argument("prompt", help="the prompt's text")


def run(options: argparse.Namespace) -> int:
    """Print qualities, win rate and contributions."""
    artifact = load(options.artifact) if options.artifact else builtin()
    router, card = artifact.router, artifact.card
    quality = router.quality_one(options.prompt)
    for model, value in zip(card.models, quality):
        print(f"quality of {model}: {value:.4f}")
    if card.gain_knots:
        gain = quality[0] - quality[-1]
        print(f"gain {gain:+.4f}, win rate {card.win_rate(gain):.4f}")
    if router.is_out_of_domain(options.prompt):
        print("out of domain: its form is unlike the training prompts, so prompt length decides")
    if not isinstance(router, LogisticRouter):
        print(f"{card.kind} cannot split its answer into features; it {router.weakness}")
        return 0
    strong, weak = card.models[0], card.models[-1]
    print(f"{'feature':<28}{'to ' + strong[:20]:>24}{'to ' + weak[:20]:>24}{'difference':>12}   (logits)")
    for name, parts in router.parts(options.prompt)[: options.top]:
        print(f"{name:<28}{parts[0]:>24.4f}{parts[-1]:>24.4f}{parts[0] - parts[-1]:>12.4f}")
    return 0
