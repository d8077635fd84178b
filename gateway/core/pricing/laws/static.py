"""`static`: hold the configured threshold; the baseline every other law is compared with.

Theory: RouteLLM's way. The strong model answers when the predicted gain, with both models' health, reaches G(threshold).
It sees neither budgets nor class values nor costs; its spend is whatever the traffic makes of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gateway.core.pricing.law import Ruling, Tick
from gateway.domain.units import Ratio


class StaticLaw:
    """A fixed win-rate threshold."""

    kind: ClassVar[str] = "static"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `pricing.law` of kind static."""

        threshold: Ratio
        """Win rate from which the strong model is used, 0..1. Raising it saves cost and spends quality."""

    def __init__(self, options: Options) -> None:
        self._threshold = options.threshold

    def start(self, tick: Tick) -> None:
        """Nothing to prepare."""

    def step(self, tick: Tick) -> Ruling:
        """Return the same threshold."""
        return Ruling({}, fixed_threshold=self._threshold)

    def remember(self) -> Mapping[str, Any]:
        """Nothing to keep."""
        return {}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Nothing was kept."""
