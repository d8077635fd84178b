"""`report`: run every experiment of the documentation and write tables (Markdown) and curves (HTML)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from router_models import experiments
from router_models.experiments import Section
from router_models.recipe import Recipe, read_recipe
from router_models.report import html, markdown

PARTS = ("nested", "in-domain", "subjects", "labels", "pairs", "switch", "many", "serving")
FAMILY = ("ridge", "knn", "similarity", "domain_table", "matrix_factorization", "ensemble")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--config", type=Path, default=Path("config/routers/default.yaml"), help="recipe called 'default' in the tables")
    parser.add_argument("--data", type=Path, required=True, help="folder of the routing data")
    parser.add_argument("--out", type=Path, required=True, help="folder for report.md and report.html")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="run a part")
    parser.add_argument("--quick", action="store_true", help="the default and what goals need beside it, without the rest of the family")


def run(options: argparse.Namespace) -> int:
    """Run and write; progress goes to stderr."""
    recipe = read_recipe(options.config)
    data: Path = options.data

    def say(line: str) -> None:
        print(f"{time.process_time():6.0f} s of CPU: {line}", file=sys.stderr, flush=True)

    quick: bool = options.quick
    family = {kind: Recipe(kind) for kind in FAMILY if not quick}
    dearer = {"ensemble": Recipe("ensemble")} if not quick else {}
    some = {"domain_table": Recipe("domain_table"), **dearer}
    many = {"default": recipe, **{kind: family[kind] for kind in ("knn", "domain_table", "matrix_factorization", "ridge") if not quick}}
    parts: dict[str, Callable[[], list[Section]]] = {
        "nested": lambda: [experiments.nested_choice(data, recipe, say)],
        "in-domain": lambda: experiments.in_domain(data, recipe, family, say),
        "subjects": lambda: [experiments.subjects_out(data, recipe, dearer, say)],
        "labels": lambda: [experiments.few_labels(data, recipe, dearer, say)],
        "pairs": lambda: experiments.other_pairs(data, recipe, some, say),
        "switch": lambda: experiments.domain_switch(data, recipe, say),
        "many": lambda: experiments.many_models(data, many, say),
        "serving": lambda: [experiments.serving(data, recipe, say)],
    }
    sections = [section for name, part in parts.items() if not options.only or name in options.only for section in part()]
    made_from = [
        f"recipe {options.config.name}: {recipe.to_json()}",
        f"data: {data.name}/*.parquet",
        "intervals: 95 %, 400 bootstrap draws",
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.md").write_text(markdown(sections, made_from), encoding="utf-8")
    (options.out / "report.html").write_text(html(sections, made_from), encoding="utf-8")
    print(markdown(sections, made_from))
    print(f"{time.process_time():.0f} s of CPU")
    print(f"wrote {options.out}/report.md and report.html")
    return 0
