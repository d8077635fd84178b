"""Choose the model of one request: a pure function, so that a log line is enough to choose again.

Order of the rules: a lone candidate is taken; an operator's pin; a law's fixed threshold; else the best score, with
near-ties split by the request's draw; then the client's own threshold, which may only make it cheaper unless the tenant
has the right; last, forced probes of a sick model, or a priced-out or broken backend would never be seen to recover.
"""

from collections.abc import Sequence

from gateway.core.pricing.card import EDGE
from gateway.core.pricing.terms import Terms
from gateway.core.pricing.threshold import Gain, alpha
from gateway.core.routing.score import compare, priced_difference, score
from gateway.domain.decision import Choice
from gateway.domain.expectation import Expectation
from gateway.domain.value import Value

WHY = ("only", "down", "pin", "threshold", "score", "soft_edge", "client_threshold", "probe", "observe", "fallback")
"""Every reason of a choice. `observe` and `fallback` are set by the dispatcher."""
SICK_SUCCESS, SICK_LATE = 0.9, 0.1
HEALTHY_SUCCESS, HEALTHY_LATE = 0.999, 0.001
BOTH = (0, 1)


class Question(Value, frozen=True):
    """All that a choice depends on, besides prices and the calibrated gain."""

    expectations: tuple[Expectation, ...]
    """Candidates that fit, best first."""
    usable: tuple[bool, ...]
    """Whether some backend of the candidate may be sent to."""
    trial: tuple[bool, ...]
    """Whether a broken candidate waits for one request to be tried on it."""
    klass_value: float
    draws: tuple[float, float]
    client_threshold: float | None
    may_set_threshold: bool
    pin: float | None


def choose(q: Question, terms: Terms, gain: Gain) -> Choice:
    """Return the model to use.

    Args:
        q: the request; at least one candidate is usable.
        terms: prices in force for its route.
        gain: the route's calibrated G.
    """
    es = q.expectations
    v = q.klass_value / terms.mean_value
    scores: tuple[float, ...]
    ready: Sequence[int]
    priced = magnitude = 0.0
    if len(es) == 2:
        first, second, priced, magnitude = compare(es[0], es[1], v, terms.per_unit)
        scores, ready = (first, second), BOTH
    else:
        scores, ready = tuple([score(e, v, terms.per_unit) for e in es]), range(len(es))
    if False in q.usable:
        ready = [i for i in ready if q.usable[i]]
    if len(ready) == 1:
        return Choice(es[ready[0]].model, "only" if len(es) == 1 else "down", scores, 0.0, None, None)
    is_threshold = q.pin is not None or terms.fixed_threshold is not None
    if is_threshold or len(ready) == 2:
        i, j = ready[0], ready[-1]
    else:
        top = sorted(sorted(ready, key=lambda m: -scores[m])[:2])
        i, j = top[0], top[1]
    a, b = es[i], es[j]
    if len(es) != 2:
        priced, magnitude = priced_difference(a, b, terms.per_unit)
    plain = scores[i] - scores[j]
    margin = plain + EDGE * (2.0 * q.draws[0] - 1.0) * magnitude
    win_rate = gain.win_rate(a.quality - b.quality)
    threshold = alpha(gain, priced, v, a.success, b.success, b.quality)
    if q.pin is not None:
        is_better, why, threshold = win_rate >= q.pin, "pin", q.pin
    elif terms.fixed_threshold is not None:
        threshold = terms.fixed_threshold
        is_better, why = a.quality * a.success - b.quality * b.success >= gain.gain(threshold), "threshold"
    else:
        is_better = margin > 0
        why = "score" if is_better == (plain > 0) else "soft_edge"
    is_bound = False
    if q.client_threshold is not None:
        wanted = win_rate >= q.client_threshold
        is_bound = q.may_set_threshold or not wanted  # No probe: the client, too, asked for less than the better model.
        if q.may_set_threshold:
            is_better, why, threshold = wanted, "client_threshold", q.client_threshold
        elif is_better and not wanted:
            is_better, why, threshold = False, "client_threshold", max(q.client_threshold, threshold)
    chosen, other = (i, b) if is_better else (j, a)
    if not is_bound and (len(ready) > 2 or True in q.trial or _is_sick(other)):  # Mostly there is one other candidate, and it is well.
        probed = _probe(q, terms, ready, chosen, v)
        if probed is not None:
            chosen, why = probed, "probe"
    return Choice(es[chosen].model, why, scores, margin, win_rate, threshold)


def _is_sick(e: Expectation) -> bool:
    return e.success < SICK_SUCCESS or e.late > SICK_LATE or e.stall > SICK_LATE


def _probe(q: Question, terms: Terms, ready: Sequence[int], chosen: int, v: float) -> int | None:
    """Return a sick candidate that this request should try, or None."""
    for m in ready:
        if m == chosen:
            continue
        e = q.expectations[m]
        if not (q.trial[m] or _is_sick(e)):
            continue
        if q.draws[1] < terms.probe_share:
            return m
        if q.trial[m]:
            healthy = Expectation(e.model, e.quality, HEALTHY_SUCCESS, HEALTHY_LATE, e.usd, e.completion_tokens, 0.0, e.breaks)
            if score(healthy, v, terms.per_unit) > score(q.expectations[chosen], v, terms.per_unit):
                return m
    return None
