"""What is written down, and how much of it."""

from dataclasses import dataclass

from gateway.domain.units import ByteCount, Count, Seconds


@dataclass(frozen=True, slots=True)
class DecisionLogOptions:
    """Section `decision_log`: one JSON line per decision, no prompt byte in it."""

    path: str | None = None
    """File to append to; none writes no log. Rotated files get `.1`, `.2`, ..."""
    rotate_at: ByteCount = 64 * 1024 * 1024
    """Size at which a file is rotated."""
    keep: Count = 4
    """Rotated files kept; with `rotate_at` this bounds the disk that the log can take."""
    flush_every: Seconds = 0.5
    """How often buffered lines are written."""
    buffer_max: Count = 20_000
    """Lines held while the disk is slow; further ones are dropped and counted."""
