"""Sheds: our own refusals for want of capacity, and when to come back.

Retry-After is the estimated wait, spread by ±30 % so that those refused together do not return together, and kept
between 1 s (a client must not spin) and 2 min (an estimate further ahead is not worth the name).
"""

from gateway.domain.decision import Shed
from gateway.domain.errors import Reason

RETRY_AFTER_S_MIN, RETRY_AFTER_S_MAX = 1.0, 120.0
JITTER = 0.3


def retry_after_s(wait_estimate_s: float, jitter_draw: float) -> float:
    """Return the seconds to suggest; `jitter_draw` in [0, 1) is drawn by the caller."""
    spread = 1.0 - JITTER + 2.0 * JITTER * jitter_draw
    return min(max(wait_estimate_s * spread, RETRY_AFTER_S_MIN), RETRY_AFTER_S_MAX)


def deadline_shed(estimate_s: float, left_s: float, jitter_draw: float) -> Shed:
    """Refuse a request whose first token would come too late."""
    text = f"the first token is expected in {estimate_s:.1f} s, and this request's class allows {max(left_s, 0.0):.1f} s"
    return Shed(Reason.SHED_DEADLINE, text, retry_after_s(estimate_s - left_s, jitter_draw))


def overload_shed(estimate_s: float, jitter_draw: float) -> Shed:
    """Refuse a request for which the queue has no place."""
    return Shed(Reason.SHED_OVERLOAD, "the queue is full and what waits there ranks higher", retry_after_s(estimate_s, jitter_draw))


def expired_shed(estimate_s: float, jitter_draw: float) -> Shed:
    """Refuse a request that waited until its deadline."""
    text = "no backend had room before this request's class expects its first token"
    return Shed(Reason.SHED_DEADLINE, text, retry_after_s(estimate_s, jitter_draw))
