"""The `sluice` command: verbs, one line each."""

import argparse
import sys

from gateway.commands import check, explain, export, freeze, keys, pin, schema, serve, store, unpin

VERBS = {
    "serve": serve,
    "check": check,
    "schema": schema,
    "explain": explain,
    "export": export,
    "pin": pin,
    "unpin": unpin,
    "freeze": freeze,
    "keys": keys,
    "store": store,
}


def main() -> None:
    """Read the command line and run one verb."""
    parser = argparse.ArgumentParser(prog="sluice", description="OpenAI-compatible gateway with error budgets")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, command in VERBS.items():
        added = verbs.add_parser(name, help=command.HELP, description=command.__doc__)
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    args = parser.parse_args()
    sys.exit(args.run(args))


if __name__ == "__main__":
    main()
