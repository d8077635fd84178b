"""Is this process alive, and does it want traffic? Neither answer depends on the store."""

from typing import Any, Protocol

import msgspec


class Life(Protocol):
    """What health speaks about."""

    @property
    def is_draining(self) -> bool:
        """True from the moment on that the process is to end."""
        ...

    @property
    def generation(self) -> int | None:
        """Number of the configuration in force; None before the first."""
        ...

    @property
    def is_store_away(self) -> bool:
        """True while budgets cannot be read or written."""
        ...


def liveness(_life: Life) -> tuple[int, bytes]:
    """Return status and body: the loop turns, or this would not be asked."""
    return 200, msgspec.json.encode({"status": "alive"})


def readiness(life: Life) -> tuple[int, bytes]:
    """Return status and body: 503 before the first configuration and while draining."""
    if life.is_draining:
        return 503, msgspec.json.encode({"status": "draining"})
    if life.generation is None:
        return 503, msgspec.json.encode({"status": "starting"})
    # The store is told, and changes nothing: requests go on without it.
    said: dict[str, Any] = {
        "status": "ready",
        "config_generation": life.generation,
        "store": "away" if life.is_store_away else "connected",
    }
    return 200, msgspec.json.encode(said)
