"""`sluice schema`: the JSON schema of the configuration, for editors and checkers."""

import argparse
from pathlib import Path

from gateway.config.schema import schema_text

HELP = "print the JSON schema of the configuration (draft 2020-12)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("--out", metavar="FILE", type=Path, help="write it there instead")


def run(args: argparse.Namespace) -> int:
    """Write the schema; exit status 1 when the file cannot be written."""
    text = schema_text()
    if args.out is None:
        print(text, end="")
        return 0
    try:
        args.out.write_text(text, encoding="utf-8")
    except OSError as exc:
        print(f"{args.out} cannot be written: {exc.strerror or type(exc).__name__}")
        return 1
    return 0
