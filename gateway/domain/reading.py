"""A measured ratio with its evidence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """Bad and valid events over one window; `ratio` is None when nothing was counted: no data is not a perfect record."""

    bad: float
    valid: float
    window_s: float

    @property
    def ratio(self) -> float | None:
        """Bad share of valid events, 0..1."""
        return None if self.valid <= 0 else self.bad / self.valid
