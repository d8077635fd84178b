"""`sluice export`: files for other tools, made from the configuration."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gateway.config.errors import ConfigErrors
from gateway.config.load import load
from gateway.config.references import read_file
from gateway.core.budget.slo import SloSpec
from gateway.formats.openslo import openslo_yaml
from gateway.formats.rules import rules_yaml

HELP = "write Prometheus rules or OpenSLO documents for the configured SLOs"
FORMATS: Mapping[str, Callable[[Sequence[SloSpec], Sequence[str]], str]] = {"rules": rules_yaml, "openslo": openslo_yaml}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("format", choices=sorted(FORMATS), help="rules: Prometheus recording and alert rules; openslo: OpenSLO v1")
    parser.add_argument("--config", metavar="FILE", default="config/sluice.yaml", help="the configuration (default: %(default)s)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write it there instead")


def run(args: argparse.Namespace) -> int:
    """Write the document; exit status 1 when the configuration is wrong or the file cannot be written."""
    try:
        config = load(args.config, os.environ, read_secret=read_if_there)
    except ConfigErrors as exc:
        for error in exc.errors:
            print(error, file=sys.stderr)
        return 1
    exempt = [c.name for c in config.catalog.classes.values() if c.exempts_sheds]
    text = FORMATS[args.format](config.slos, exempt)
    if args.out is None:
        print(text, end="")
        return 0
    try:
        args.out.write_text(text, encoding="utf-8")
    except OSError as exc:
        print(f"{args.out} cannot be written: {exc.strerror or type(exc).__name__}", file=sys.stderr)
        return 1
    return 0


def read_if_there(path: str) -> bytes:
    """Read a file that a secret stands in; one that is not there is no obstacle to what shows and uses no secret."""
    try:
        return read_file(path)
    except OSError:
        return b"not-there"
