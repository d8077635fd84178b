"""`sluice unpin ROUTE` or `sluice unpin --all`: take back what was pinned or frozen by hand."""

import argparse

from gateway.commands.pin import add_admin_arguments, send

HELP = "take back a pin, or with --all every pin and the freeze"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("route", metavar="ROUTE", nargs="?")
    which.add_argument("--all", action="store_true", help="every pin, and the freeze")
    add_admin_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Unpin; exit status 1 when the gateway refuses, 2 when it cannot be reached."""
    done = "nothing is pinned or frozen" if args.route is None else f"route {args.route} is not pinned"
    return send(args, {"verb": "unpin", "route": args.route}, done)
