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

RENEW_PART = 0.05
"""A card is made anew when this part of its rows is: it takes 3 ms, and is asked for at every tick."""

Row = tuple[float, tuple[float, ...], tuple[float, ...]]
"""Class value, qualities and list-price dollars per model."""


class Sample:
    """Ring buffers of recent requests, by route."""

    def __init__(self) -> None:
        self._rows: dict[str, deque[Row]] = {}
        self._seen = 0
        self._cards: dict[str, tuple[int, Card]] = {}
        """By route: how many rows had been added when the card was made, and the card."""
        self._added: dict[str, int] = {}

    def add(self, route: str, value: float, qualities: tuple[float, ...], usd: tuple[float, ...]) -> None:
        """Remember one request; all of the route's models must be present."""
        rows = self._rows.get(route)
        if rows is None:
            rows = self._rows[route] = deque(maxlen=ROWS_MAX)
        self._seen += 1
        if len(rows) < ROWS_MAX or self._seen % TAKE_EVERY == 0:
            rows.append((value, qualities, usd))
            self._added[route] = self._added.get(route, 0) + 1

    def card(self, route: str, models: Sequence[str]) -> Card | None:
        """Return the route's recent requests, or None while there are too few of this number of models."""
        added, known = self._added.get(route, 0), self._cards.get(route)
        if known is not None and known[1].models == tuple(models) and added - known[0] < RENEW_PART * known[1].value.size:
            return known[1]
        rows = [r for r in self._rows.get(route, ()) if len(r[1]) == len(models)]
        if len(rows) < ROWS_MIN:
            return None
        value, quality, usd = (np.array([r[i] for r in rows], dtype=np.float64) for i in range(3))
        card = Card(tuple(models), value, quality, usd)
        self._cards[route] = added, card
        return card
