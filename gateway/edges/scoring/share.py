"""The declared fallback of a route without a usable router: a strong share instead of a prediction.

A share of prompts, picked by their own hash, is said to gain all that the strong model could add, the rest nothing. So a
fixed threshold of any height gives the declared share, and under prices every other share is still reachable: class
values, costs and the soft edge split the two lumps.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gateway.domain.facts import Talk

STRONG_QUALITY, GAIN = 0.8, 0.3
"""Invented levels: only their difference acts, and any other would do, since the price follows the spend."""
SAMPLE_ROWS = 1000
KNOTS = ((0.0, 0.0), (1.0, GAIN))
SPAN = float(2**32)


class ShareScorer:
    """Implements ports.Scorer without knowing anything."""

    is_fallback, reads_talk = True, False

    def __init__(self, strong_share: float, models: int, why: str) -> None:
        """Build a scorer.

        Args:
            strong_share: share of prompts that should go strong while nothing is scarce, 0..1.
            models: number of the route's models, best first.
            why: what is wrong with the artifact, for the state page.
        """
        self.name, self.why = "fallback", why
        self._share = strong_share
        self._high, self._low = _qualities(models, GAIN), _qualities(models, 0.0)

    def qualities(self, prompt: str, talk: Talk | None = None) -> tuple[float, ...]:
        """Return one of two sets of qualities, the same for the same prompt."""
        draw = int.from_bytes(blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "big") / SPAN
        return self._high if draw < self._share else self._low

    def many(self, prompts: Sequence[str], talks: Sequence[Talk | None]) -> Sequence[tuple[float, ...]]:
        """Return `qualities` of each prompt."""
        return list(map(self.qualities, prompts))

    def sample(self) -> NDArray[np.float64]:
        """Return what a histogram of this scorer's answers looks like, shape (rows, models)."""
        strong = round(SAMPLE_ROWS * self._share)
        return np.array([self._high] * strong + [self._low] * (SAMPLE_ROWS - strong), dtype=np.float64)


def _qualities(models: int, gain: float) -> tuple[float, ...]:
    """Return qualities falling evenly from the first to the last model by `gain`."""
    return tuple(STRONG_QUALITY - gain * i / max(models - 1, 1) for i in range(models))
