"""Look at a store from the command line: an event loop for one question, and the real clock."""

import asyncio
from collections.abc import Sequence

from gateway.edges.clock import SystemClock
from gateway.edges.store.checkup import Finding, checkup


def inspect_store(url: str, timeout_s: float) -> Sequence[Finding]:
    """Check a server. Raises: ValueError for a URL that is none of ours."""
    return asyncio.run(checkup(url, timeout_s, SystemClock()))
