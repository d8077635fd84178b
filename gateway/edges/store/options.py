"""Where shared budget state lives, and how patient we are with it."""

from dataclasses import dataclass

from gateway.domain.catalog import Secret
from gateway.domain.units import ByteCount, Seconds


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Section `store`."""

    url: Secret = Secret("embedded")
    """`embedded`, `memory` (one process, lost at exit), or redis://, rediss://, unix:// with user and password in the URL."""
    directory: str = ".sluice"
    """State directory of the embedded server: socket, append-only file, lock."""
    memory_max: ByteCount = 256 * 1024 * 1024
    """Memory of the embedded server; a full store counts as a store that is away."""
    timeout: Seconds = 0.5
    """For every background command; no request waits for one (a limited tenant's may wait 50 ms for a grant)."""
    flush_every: Seconds = 1.0
    """How often counts are written; a killed process loses at most this much."""
    poll_every: Seconds = 1.0
    """How often published prices and overrides are read."""
    stale_after: Seconds = 60.0
    """Prices older than this are shown as stale (and stay frozen)."""
    alone_after: Seconds = 900.0
    """Silence of the store after which each replica prices by its own counts times the replicas there were. Longer: frozen for longer."""
