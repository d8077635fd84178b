"""Which names may things have, and what does a digest look like?"""

import re
from collections.abc import Iterator

from gateway.config.errors import Problem
from gateway.config.references import quoted

DIGEST = re.compile(r"(sha256:)?[0-9a-fA-F]{64}\Z")
"""A SHA-256 digest as operators write it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,99}\Z")
_ROUTER_NAME = re.compile(r"router-.+-[0-9.]+\Z")


def name_problems(name: str) -> Iterator[Problem]:
    """Yield what is wrong with a name; names become header values, metric labels and parts of store keys."""
    if not _NAME.match(name):
        yield Problem(
            ("name",), f"{quoted(name)} is no name; use letters, digits and . _ - / : @, beginning with a letter or digit, at most 100"
        )
    elif _ROUTER_NAME.match(name):
        yield Problem(("name",), f"{quoted(name)} reads like `router-<name>-<threshold>`, which clients use for a threshold of their own")
