"""`python -m router_models VERB`: train, adapt, score, evaluate, calibrate, inspect, explain, report."""

from __future__ import annotations

import argparse
import sys

from router_models.commands import adapt, calibrate, evaluate, explain, inspect, report, score, train


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; a wrong input or output is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m router_models", description="Train, measure and look at routers.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    table = {
        "train": train,
        "adapt": adapt,
        "score": score,
        "evaluate": evaluate,
        "calibrate": calibrate,
        "inspect": inspect,
        "explain": explain,
        "report": report,
    }
    for name, module in table.items():
        module.add_arguments(verbs.add_parser(name, help=(module.__doc__ or "").split(": ", 1)[-1].rstrip()))
    options = parser.parse_args(arguments)
    try:
        status: int = table[options.verb].run(options)
    except (ValueError, OSError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
