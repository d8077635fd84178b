"""When a backend wants to be asked again."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

RETRY_AFTER_S_MAX = 86_400.0
"""A longer wish is taken for this long; a mistake must not close a backend for a year."""


def retry_after_s(headers: Mapping[str, str], wall_s: float) -> float | None:
    """Return the seconds that `retry-after-ms` or `Retry-After` (seconds or an HTTP date) ask for; None when neither does.

    Args:
        headers: case-insensitive.
        wall_s: Unix time now, for dates.
    Source: RFC 9110 section 10.2.3; `retry-after-ms` is OpenAI's and Azure's.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        told = headers.get(name)
        if told is None:
            continue
        seconds = _seconds(told.strip(), unit_s, wall_s)
        if seconds is not None:
            return seconds
    return None


def _seconds(told: str, unit_s: float, wall_s: float) -> float | None:
    try:
        wish_s = float(told) * unit_s
    except ValueError:
        try:
            date = parsedate_to_datetime(told)
        except ValueError:
            return None
        wish_s = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - wall_s
    # The order of the two makes NaN a None: it compares as neither.
    if wish_s >= 0:
        return min(wish_s, RETRY_AFTER_S_MAX)
    return 0.0 if wish_s < 0 else None
