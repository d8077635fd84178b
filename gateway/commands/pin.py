"""`sluice pin ROUTE --threshold 0.3 --for 1h`: hold a route at a threshold by hand; expires, audited, red on the page.

Also what `freeze` and `unpin` share: where the admin port is, its token, and the call.
"""

import argparse
import getpass
import http.client
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.config.errors import ConfigErrors
from gateway.config.load import load
from gateway.config.quantities import read_duration, read_ratio, write_duration
from gateway.edges.server.overrides import BY_MAX

HELP = "hold a route at a threshold for some time (break-glass)"
TIMEOUT_S = 10.0
VARIABLE = "SLUICE_ADMIN_TOKEN"
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""A listener on every address is reached on this machine's own."""


class Unreachable(Exception):
    """The admin port cannot be found or does not answer; the message is for the operator."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("route", metavar="ROUTE")
    parser.add_argument(
        "--threshold", type=ratio, required=True, help="win rate from which the stronger model is used, 0..1; higher is cheaper"
    )
    parser.add_argument("--for", dest="for_s", type=duration, required=True, metavar="TIME", help="how long, for example 1h; at most 7d")
    add_admin_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Pin; exit status 1 when the gateway refuses, 2 when it cannot be reached."""
    change = {"verb": "pin", "route": args.route, "threshold": args.threshold, "for_s": args.for_s}
    return send(args, change, f"route {args.route} is held at threshold {args.threshold:g} for {write_duration(args.for_s)}")


def add_admin_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the gateway is."""
    parser.add_argument("--admin", metavar="URL", help="address of the admin port; default: from the configuration")
    parser.add_argument(
        "--token-file", metavar="FILE", type=Path, help=f"file with the admin token; default: ${VARIABLE}, else the configuration's"
    )
    parser.add_argument("--config", metavar="FILE", default="config/sluice.yaml", help="the configuration (default: %(default)s)")


def duration(text: str) -> float:
    """Read a duration with its unit, for argparse."""
    try:
        return read_duration(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def ratio(text: str) -> float:
    """Read a ratio in 0..1, for argparse."""
    try:
        return read_ratio(float(text) if "%" not in text else text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def send(args: argparse.Namespace, change: Mapping[str, Any], done: str) -> int:
    """Ask the gateway for an override in this user's name, and say how it went."""
    try:
        url, token = admin_of(args)
        status, body = call(url, token, "POST", "/admin/override", {**change, "by": _user()})
    except Unreachable as exc:
        print(exc, file=sys.stderr)
        return 2
    if status != 200:
        print(f"{url}: {body.get('error', f'status {status}')}", file=sys.stderr)
        return 1
    print(done)
    return 0


def admin_of(args: argparse.Namespace) -> tuple[str, str | None]:
    """Return address and token of the admin port; the configuration is read only for what the command line leaves open.

    Raises: Unreachable.
    """
    url, token = args.admin, os.environ.get(VARIABLE)
    if args.token_file is not None:
        try:
            token = args.token_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as exc:
            raise Unreachable(f"{args.token_file} cannot be read: {exc}") from exc
    if url is not None and token is not None:
        return url, token
    try:
        admin = load(args.config, os.environ).admin
    except ConfigErrors as exc:
        if url is not None:  # Good enough for a gateway without a token; it will say so if it wants one.
            return url, token
        raise Unreachable("\n".join([*map(str, exc.errors), "give --admin URL and --token-file FILE, or mend the configuration"])) from exc
    if url is None:
        host, _, port = admin.listen.rpartition(":")
        host = ANY.get(host.strip("[]"), host.strip("[]"))
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return url, token if token is not None else admin.token.reveal() if admin.token is not None else None


def call(url: str, token: str | None, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Make one call to the admin port and return status and JSON.

    Raises: Unreachable.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        raise Unreachable(f"{url} is no address; write for example http://127.0.0.1:8081")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
        connection.request(method, parts.path.rstrip("/") + path, None if body is None else json.dumps(body), _latin(headers))
        answer = connection.getresponse()
        status, data = answer.status, json.loads(answer.read())
        connection.close()
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise Unreachable(f"{url} does not answer as the admin port would: {exc or type(exc).__name__}; is the gateway running?") from exc
    return status, data if isinstance(data, dict) else {}


def _user() -> str:
    """Return who is doing it, for the audit; a container's user may have no name."""
    try:
        return getpass.getuser()[:BY_MAX]
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _latin(headers: Mapping[str, str]) -> dict[str, str | bytes]:
    """Return headers as UTF-8 bytes: http.client would refuse a token beyond Latin-1."""
    return {name: value.encode() for name, value in headers.items()}
