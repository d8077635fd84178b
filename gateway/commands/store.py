"""`sluice store check URL`: whether a Redis or Valkey server would do as our store, and what would not work."""

import argparse
import sys

from gateway.edges.store.checkup import Level
from gateway.process.inspection import inspect_store

HELP = "check a Redis or Valkey server: version, scripts, latency, memory, persistence, clock"
TIMEOUT_S = 2.0
"""More patient than the gateway: a slow server is to be measured, not only named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    verbs = parser.add_subparsers(dest="store_verb", required=True, metavar="check")
    added = verbs.add_parser("check", help=HELP, description=__doc__)
    added.add_argument("url", metavar="URL", help="redis://, rediss:// or unix://, as in store.url, with user and password")


def run(args: argparse.Namespace) -> int:
    """Check the server; exit status 1 when something would not work, 2 for a URL that is none."""
    try:
        findings = inspect_store(args.url, TIMEOUT_S)
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 2
    for finding in findings:
        print(finding)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    print(f"{problems or 'no'} problem{'' if problems == 1 else 's'}")
    return 1 if problems else 0
