"""Misses: how likely a model is to miss what was promised to a kind of request.

Theory: as `placement/health.py` does for lateness: an average over the last 20 answers or so of a model and a promise, over
samples and not over time, so that a quiet model keeps what is known of it. A promise is whatever its owner keys it by: the
first-token limit of one length of prompts, the expected timeline of one route. What was never seen starts from what the caller
knows otherwise, and twelve kept promises in a row restore it to `START` at once, as they do there: while a model is avoided, only a
few probes tell of its repair. Forced probes (`routing/route.py`) see to it that a model that is avoided for its misses is still tried.
"""

from collections.abc import Hashable

SAMPLES, KEPT_AFTER = 20.0, 12
START = 0.001
KINDS_MAX = 10_000


class Misses:
    """Probabilities by model and promise; survives a config swap."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, Hashable], tuple[float, int]] = {}
        """Probability, and how many in a row were kept."""

    def expect(self, model: str, promise: Hashable, otherwise: float = START) -> float:
        """Return the probability of a miss, 0..1; `otherwise` while nothing was seen."""
        known = self._kinds.get((model, promise))
        return otherwise if known is None else known[0]

    def learn(self, model: str, promise: Hashable, missed: bool, otherwise: float = START) -> None:
        """Take in how one answer kept its promise."""
        known, kept = self._kinds.get((model, promise), (otherwise, 0))
        kept = 0 if missed else kept + 1
        self._kinds[model, promise] = (START if kept == KEPT_AFTER else known + (missed - known) / SAMPLES), kept
        if len(self._kinds) > KINDS_MAX:
            del self._kinds[next(iter(self._kinds))]
