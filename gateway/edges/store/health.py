"""How the store is doing, as the page, `/admin/state` and the metrics show it."""

from dataclasses import dataclass


@dataclass(slots=True)
class StoreHealth:
    """One process's view; kept by the store, read by others."""

    last_error: str | None = None
    """Why the store was last away, for a human, without credentials; stays after it came back."""
    away_since_wall_s: float | None = None
    last_flush_wall_s: float | None = None
    """When the store last had everything that was booked; None before the first time."""
    pending_batches: int = 0
    """Batches that wait to be written; while the store is away they grow by one per 64 slots (about 11 minutes)."""
    rollbacks: int = 0
    """How often the store came back with less than it had acknowledged; what was missing was sent again."""
    lost_batches: int = 0
    """Batches that the store lost and that were too old to be sent again."""
    clock_offset_s: float | None = None
    """The server's clock less ours; what is booked ahead of it is counted in its present. None under a load test's clock."""
    mismatches: int = 0
    """How often slots of ten seconds and of five minutes told different totals: a server that loses single keys."""
    last_mismatch: str | None = None
    schema_before: str | None = None
    """An older layout whose counts lie in the store unread: budgets started anew when this layout came."""
    memory_used_bytes: int | None = None
    memory_max_bytes: int | None = None
    """None when the server has no limit or does not say."""
    is_unreachable: bool = False
    """The last call got no usable answer."""
    is_refusing: bool = False
    """The last write was refused: full, read-only, not permitted."""

    @property
    def is_away(self) -> bool:
        """True while budgets cannot be read or written."""
        return self.is_unreachable or self.is_refusing

    @property
    def memory_fill(self) -> float | None:
        """Used share of the server's memory limit, 0..1."""
        if self.memory_used_bytes is None or not self.memory_max_bytes:
            return None
        return self.memory_used_bytes / self.memory_max_bytes

    def troubled(self, reason: str, wall_s: float, is_refusal: bool) -> None:
        """Note a failed call. A refusal stands until a write succeeds, silence until anything does."""
        if not self.is_away:
            self.away_since_wall_s = wall_s
        self.last_error = reason
        self.is_refusing = self.is_refusing or is_refusal
        self.is_unreachable = not is_refusal

    def answered(self, was_write: bool) -> None:
        """Note a call that went well."""
        self.is_unreachable = False
        if was_write:
            self.is_refusing = False
        if not self.is_away:
            self.away_since_wall_s = None
