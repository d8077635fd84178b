"""All that is remembered between requests. It survives a config swap: keyed by names, and it takes no Options."""

from typing import Any

from gateway.core.budget.counts import Counts
from gateway.core.budget.fairness import Fairness
from gateway.core.estimate.length import Lengths
from gateway.core.estimate.misses import Misses
from gateway.core.estimate.tokens import Tokens
from gateway.core.placement.accounts import PlacementState
from gateway.core.pricing.sample import Sample
from gateway.core.routing.conversation import Conversations
from gateway.core.scheduling.retry import RetryBudget
from gateway.core.scheduling.schedule import Schedule
from gateway.core.tenants.limits import LimitState
from gateway.domain.prices import Overrides, Prices


class State:
    """One process's memory."""

    def __init__(self) -> None:
        self.placement = PlacementState()
        self.tokens = Tokens()
        self.lengths = Lengths()
        self.misses = Misses()
        self.conversations = Conversations()
        self.fairness = Fairness()
        self.schedule: Schedule[Any] = Schedule()
        self.limits = LimitState()
        self.retries = RetryBudget()
        self.sample = Sample()
        self.counts = Counts()
        self.prices: Prices | None = None
        self.prices_seen_s = 0.0
        """Monotonic time at which the prices in force were last confirmed by the store."""
        self.overrides = Overrides()
        self.reserved_usd = 0.0
        """Expected dollars of everything in flight in this process."""
