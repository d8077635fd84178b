"""`sluice freeze --for 10m`: hold all prices where they are; expires, audited, red on the page."""

import argparse

from gateway.commands.pin import add_admin_arguments, duration, send
from gateway.config.quantities import write_duration

HELP = "hold all prices where they are for some time (break-glass)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("--for", dest="for_s", type=duration, required=True, metavar="TIME", help="how long, for example 10m; at most 7d")
    add_admin_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Freeze; exit status 1 when the gateway refuses, 2 when it cannot be reached."""
    return send(args, {"verb": "freeze", "for_s": args.for_s}, f"prices are frozen for {write_duration(args.for_s)}")
