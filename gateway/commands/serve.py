"""`sluice serve`: run the gateway."""

import argparse
import os

from gateway.process.supervisor import supervise

HELP = "run the gateway"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("--config", metavar="FILE", default="config/sluice.yaml", help="the configuration (default: %(default)s)")
    parser.add_argument("--guard", action="store_true", help="stop when standard input is closed, as when the parent process dies")
    parser.add_argument(
        "--clock-speed",
        type=float,
        default=1.0,
        metavar="N",
        help="let every second pass N times faster; for load tests, never in production",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; exit status 2 when it cannot start."""
    if not args.clock_speed > 0:
        print("--clock-speed must be above 0")
        return 2
    return supervise(args.config, os.environ, lambda line: print(line, flush=True), args.clock_speed, args.guard)
