"""`sluice keys`: make an API key for a tenant; only its digest goes into the configuration."""

import argparse
import sys
from hashlib import sha256

from gateway.edges.chance import SystemChance

HELP = "make an API key and the digest that the configuration needs, or hash a key from standard input"
PREFIX = "sk-sluice-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("what", nargs="?", choices=["new", "hash"], default="new", help="hash: read an existing key from standard input")


def run(args: argparse.Namespace) -> int:
    """Print key and digest; exit status 1 when there is no key to hash."""
    if args.what == "hash":
        key = sys.stdin.readline().rstrip("\r\n")
        if not key:
            print("no key on standard input", file=sys.stderr)
            return 1
        print(line_of(key))
        return 0
    key = new_key(SystemChance())
    print(key)
    print(line_of(key))
    print("First line: the key, shown only now. Second line: for `keys:` of a tenant in the configuration.", file=sys.stderr)
    return 0


def new_key(chance: SystemChance) -> str:
    """Return a key with 192 bits that cannot be guessed."""
    return PREFIX + "".join(chance.request_id().removeprefix("req_") for _ in range(2))


def line_of(key: str) -> str:
    """Return the item for a tenant's `keys`."""
    return f'"sha256:{sha256(key.encode("utf-8", "surrogateescape")).hexdigest()}"'
