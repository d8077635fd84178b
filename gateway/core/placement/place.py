"""Where a request of one model would go: the usable backend of least predicted wait.

Theory: the target is the predicted first-token time from own token accounts, not the number of requests and not scraped
metrics. A backend is a candidate while its breaker lets requests through and it is not in `avoid` (this request has
failed there). A self-hosted engine has room while its un-prefilled prompt tokens, the request's own included, stay
within its bound: beyond it a queue in the engine gains no throughput and takes the order out of our hands. With nothing
pending it always has room, or a prompt longer than the bound would never be served. Hosted APIs have no bound.

Ties, and hosted APIs of equal speed, are told apart by PER_REQUEST_S for each request in flight: the engine model's
stand-in for what running answers cost. It orders backends only, it is not part of the wait that is reported.
Source: reference/serving_systems.md sections 0, 3.1, 3.2.
"""

from math import inf
from typing import Literal

from gateway.core.placement.accounts import PlacementState, Standing
from gateway.core.placement.breaker import CLOSED, HALF_OPEN
from gateway.domain.catalog import Backend, Model
from gateway.domain.value import Value

PER_REQUEST_S = 0.004

Room = Literal["now", "later", "down"]
"""now: a backend takes it; later: only queues are full; down: no backend may be sent to."""

NOBODY: frozenset[str] = frozenset()


class Outlook(Value, frozen=True):
    """What placement says about one request and one model."""

    room: Room
    backend: Backend | None
    """The backend to send to; None unless there is room now."""
    wait_s: float
    """Predicted seconds to the first token there (later: on the least full backend); inf when down."""
    is_bounded: bool
    """Whether that backend is self-hosted, so that its queue is ours to bound."""
    is_idle: bool
    """Whether that backend has nothing to prefill."""
    is_trial: bool = False
    """Whether the model is broken on all backends and one of them waits for a request to be tried."""

    @property
    def delay_s(self) -> float:
        """What admission holds against the deadline.

        The wait, but 0 on an idle engine and on hosted APIs: a request is never refused for its own length, nor for
        the speed of a service that our waiting would not relieve.
        """
        return self.wait_s if self.is_bounded and not self.is_idle else 0.0


DOWN = Outlook("down", None, inf, False, False)
DOWN_BUT_TRIED = Outlook("down", None, inf, False, False, True)


def look(
    model: Model, prompt_tokens: int, now_s: float, state: PlacementState, avoid: frozenset[str] = NOBODY, forced: bool = False
) -> Outlook:
    """Return where a request would go now, and how long it would wait.

    Args:
        avoid: ids of backends that are out for this request.
        forced: a probe, which a half-open backend takes beside its trial.
    """
    return look_at(state.standing(model), prompt_tokens, now_s, avoid, forced)


def look_at(standing: Standing, prompt_tokens: int, now_s: float, avoid: frozenset[str] = NOBODY, forced: bool = False) -> Outlook:
    """Return the same of a model whose standing is at hand."""
    best: Backend | None = None
    best_s = wait_s = inf
    has_room = is_idle = is_half_open = is_closed = False
    for backend, account in standing.backends:
        breaker, load = account.breaker, account.load
        if breaker.state is CLOSED:
            is_closed = True
            may_send = now_s >= breaker.limited_until_s  # As `may_send` says; a call here is a tenth of a decision.
        else:
            may_send = breaker.may_send(now_s, forced)  # An open breaker whose wait has passed becomes half-open.
            is_half_open = is_half_open or breaker.state is HALF_OPEN
        if not may_send or (avoid and backend.id in avoid):
            continue
        if backend.is_self_hosted:
            pending = load.pending_tokens(now_s)
            fits = not pending or pending + prompt_tokens <= backend.pending_tokens_max
            predicted_s = account.ttft.predict(pending, prompt_tokens, load.requests(now_s), now_s)
        else:
            pending, fits = 0, True
            predicted_s = account.ttft.predict(0.0, prompt_tokens, 0.0, now_s)
        cost_s = predicted_s + PER_REQUEST_S * load.in_flight
        if fits > has_room or (fits == has_room and cost_s < best_s):
            best, best_s, wait_s, has_room, is_idle = backend, cost_s, predicted_s, fits, not pending
    is_trial = is_half_open and not is_closed
    if best is None:
        return DOWN_BUT_TRIED if is_trial else DOWN
    if has_room:
        return Outlook("now", best, wait_s, best.is_self_hosted, is_idle, is_trial)
    return Outlook("later", None, wait_s, best.is_self_hosted, is_idle, is_trial)


def place(model: Model, prompt_tokens: int, now_s: float, state: PlacementState, avoid: frozenset[str] = NOBODY) -> Backend | None:
    """Return the backend to send to now, or None when none has room."""
    return look(model, prompt_tokens, now_s, state, avoid).backend


def room(model: Model, prompt_tokens: int, now_s: float, state: PlacementState, avoid: frozenset[str] = NOBODY) -> Room:
    """Return whether a request can be sent now, later (queue it), or not at all (fall back)."""
    return look(model, prompt_tokens, now_s, state, avoid).room
