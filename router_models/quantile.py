"""Which threshold sends a given share of recent traffic to the strong model? A sliding-window quantile of win rates.

RouteLLM takes the threshold from one public data set; on other traffic the same threshold sends anything between 2 % and 65 % to the strong
model. This one forgets: after `window` requests nothing of the old traffic is left in it. What it holds is the share of *requests*; a
budget in dollars needs a price that follows spend (the gateway's law), not a quantile.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

WINDOW = 400
"""Requests remembered. The share wanders by sqrt(s (1 - s) / window), 2.3 points at 30 %, and averages out over a few windows."""


def threshold_for_share(win_rate: NDArray[np.float64], strong_share: float) -> float:
    """Return the win rate that the given share of these prompts reaches or exceeds.

    Raises: ValueError when there are no prompts or the share lies outside 0..1.
    """
    if not len(win_rate) or not 0.0 <= strong_share <= 1.0:
        raise ValueError("needs at least one prompt and a share in 0..1")
    ordered = np.sort(win_rate)[::-1]
    take = round(strong_share * len(ordered))
    return float(np.nextafter(ordered[0], np.inf)) if take == 0 else float(ordered[take - 1])


class StreamingQuantile:
    """Follows the (1 - share) quantile of the last `window` win rates."""

    def __init__(self, strong_share: float, window: int = WINDOW, start: Iterable[float] = ()) -> None:
        """Begin with the win rates of earlier traffic or of a card's sample, so that the first request has a threshold."""
        if not 0.0 < strong_share < 1.0 or window < 10:
            raise ValueError("strong_share must lie inside 0..1 and the window hold at least 10 requests")
        self._share, self._window = strong_share, window
        self._recent: deque[float] = deque()
        self._ordered: list[float] = []
        for win_rate in start:
            self.observe(win_rate)

    def observe(self, win_rate: float) -> None:
        """Remember one request's win rate and forget the oldest beyond the window."""
        self._recent.append(win_rate)
        insort(self._ordered, win_rate)
        if len(self._recent) > self._window:
            del self._ordered[bisect_left(self._ordered, self._recent.popleft())]

    def threshold(self) -> float | None:
        """Return the win rate from which the strong model is used now; None before anything was observed."""
        n = len(self._ordered)
        if n == 0:
            return None
        at = (1.0 - self._share) * (n - 1)
        low = int(at)
        high = min(low + 1, n - 1)
        return self._ordered[low] + (at - low) * (self._ordered[high] - self._ordered[low])

    def is_strong(self, win_rate: float) -> bool:
        """Decide one request by the threshold before it, then remember it."""
        threshold = self.threshold()
        self.observe(win_rate)
        return threshold is not None and win_rate >= threshold
