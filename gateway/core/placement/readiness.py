"""Readiness: a model seen as a whole, for the choice between models and for answers that refuse.

The probability of a late first token blends two kinds of knowledge: how often recent ones were late (whatever the
cause), and, for engines whose queue we see, how the predicted wait compares with the limit:

    late = max(health.late, 1 / (1 + (limit / wait)^LATE_STEEPNESS))

The second is a log-logistic tail: 1/2 at the limit, 3 % at half of it. The maximum and not the sum, since a queue that
lasts is in both. Hosted APIs show no queue, and their ordinary slowness is already in the first.
"""

from math import pow

from gateway.core.placement.accounts import PlacementState
from gateway.core.placement.place import Outlook
from gateway.domain.catalog import Model

LATE_STEEPNESS = 5.0
"""1/0.2: predicted waits are off by about a fifth (waiting-time estimator of the engine model: 15 % in the median)."""
REOPENS_S_MIN = 1.0
"""Least wait suggested to clients of a model that is down."""


def late_probability(outlook: Outlook, health_late: float, limit_s: float, queue_wait_s: float = 0.0) -> float:
    """Return the probability that the first token comes later than `limit_s`.

    Args:
        outlook: of this request on this model.
        health_late: the model's recent share of late first tokens.
        queue_wait_s: expected seconds in our own queue before it would be sent.
    """
    if not outlook.is_bounded:
        return health_late
    wait_s = outlook.wait_s + queue_wait_s
    if wait_s <= 0.0:
        return health_late
    return max(health_late, 1.0 / (1.0 + pow(limit_s / wait_s, LATE_STEEPNESS)))


def is_usable(model: Model, now_s: float, state: PlacementState) -> bool:
    """Whether any backend of the model may be sent to, full or not."""
    return any(state.account(b.id, model.name).breaker.may_send(now_s) for b in model.backends)


def reopens_s(model: Model, now_s: float, state: PlacementState) -> float:
    """Return the seconds until the first of a model's backends may be tried again."""
    waits = (state.account(b.id, model.name).breaker.wait_s(now_s) for b in model.backends)
    return max(min(waits, default=REOPENS_S_MIN), REOPENS_S_MIN)


def prefill_tokens_per_s(model: Model, now_s: float, state: PlacementState) -> float:
    """Return the learned prefill rate of all backends that may be sent to; 0 when there is none."""
    total = 0.0
    for backend in model.backends:
        account = state.account(backend.id, model.name)
        if account.breaker.may_send(now_s):
            total += 1.0 / account.ttft.s_per_token(now_s)
    return total
