"""Recent traffic as a card: what was asked lately, what it was worth, and what each model would cost for it.

Bounded per route. A card of recent requests replaces the artifact's sample once there are `ROWS_MIN` of them, so the
plant gain and the shown threshold follow the real prompts, lengths and classes instead of the calibration data.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from gateway.core.pricing.card import Card

ROWS_MIN, ROWS_MAX = 200, 2000
"""From 200 rows on a share is known to about 3 points, better than a calibration sample of other traffic."""
TAKE_EVERY = 4
"""Once a ring is full one request in four is remembered: it reaches further back, and the hot path pays for one in four."""

Row = tuple[float, tuple[float, ...], tuple[float, ...]]
"""Class value, qualities and list-price dollars per model."""


class Sample:
    """Ring buffers of recent requests, by route."""

    def __init__(self) -> None:
        self._rows: dict[str, deque[Row]] = {}
        self._seen = 0

    def add(self, route: str, value: float, qualities: tuple[float, ...], usd: tuple[float, ...]) -> None:
        """Remember one request; all of the route's models must be present."""
        rows = self._rows.get(route)
        if rows is None:
            rows = self._rows[route] = deque(maxlen=ROWS_MAX)
        self._seen += 1
        if len(rows) < ROWS_MAX or self._seen % TAKE_EVERY == 0:
            rows.append((value, qualities, usd))

    def card(self, route: str, models: Sequence[str]) -> Card | None:
        """Return the route's recent requests, or None while there are too few of this number of models."""
        rows = [r for r in self._rows.get(route, ()) if len(r[1]) == len(models)]
        if len(rows) < ROWS_MIN:
            return None
        value, quality, usd = (np.array([r[i] for r in rows], dtype=np.float64) for i in range(3))
        return Card(tuple(models), value, quality, usd)
