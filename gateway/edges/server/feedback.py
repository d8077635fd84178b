"""Verdicts on earlier answers: checked here, written to the store in the background, never on a request's path.

What a verdict is about is told by the request's id alone: it is sealed with the time, tenant and route of its request
(`Chance.sealed`), so a verdict counts whenever and at whichever replica it comes, and only for the tenant that asked. It is counted
when the store says that it is the first on its request; later ones replace what is kept and change no count.
"""

import re
from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

from gateway.core.budget.slis.quality import weight_of
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.value import Value
from gateway.ports import Store

QUEUE_MAX = 10_000
"""Verdicts held while the store is away; the oldest go first."""
ID_FORM = re.compile("req_[0-9a-f]{24}")
GOOD_FROM = 0.5
"""A score from here on is a good verdict, where none is said."""
AGE_S_MAX, AHEAD_S_MAX = 31 * 86_400.0, 60.0
"""Verdicts on older requests change no window that is still looked at; other replicas' clocks may be a little ahead."""


class Verdict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of POST /v1/feedback. No free text, so that no prompt can get into the store."""

    request_id: str
    verdict: Literal["good", "bad"] | None = None
    score: float | None = None
    propensity: float | None = None
    """Probability with which this request was picked for judging; none: 1."""


class Asked(Value, frozen=True):
    """The request that a verdict is about."""

    route: str
    wall_s: float


Opens = Callable[[str, str], Asked | None]
"""Request id and tenant's name to the request; None when that tenant had no such request."""
Counts = Callable[[str, bool, float, float], None]
"""Counts one verdict: route, whether it is good, its weight, the time of the request."""

_decode = msgspec.json.Decoder(Verdict).decode


def _opens_nothing(_request_id: str, _tenant: str) -> None:
    return None


class Feedback:
    """Verdicts on their way to the store."""

    def __init__(self, opens: Opens = _opens_nothing) -> None:
        self._opens = opens
        self._queue: deque[tuple[str, str, dict[str, str | float], float, Asked | None]] = deque(maxlen=QUEUE_MAX)
        self.dropped = 0

    def take(self, body: bytes, tenant: str, wall_s: float) -> bool:
        """Check and queue one verdict; return whether it is about a request of this tenant whose verdicts count.

        Raises: GatewayError BAD_REQUEST, BAD_JSON.
        """
        try:
            said = _decode(body)
        except msgspec.ValidationError as exc:
            raise GatewayError(Reason.BAD_REQUEST, f"feedback: {exc}") from exc
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise GatewayError(Reason.BAD_JSON, f"feedback: {exc}") from exc
        if ID_FORM.fullmatch(said.request_id) is None:  # Also keeps free text, hence prompts, out of the store.
            raise GatewayError(Reason.BAD_REQUEST, "`request_id` must be an answer's x-request-id: req_ and 24 hex digits", "request_id")
        if said.verdict is None and said.score is None:
            raise GatewayError(Reason.BAD_REQUEST, "say `verdict` (good or bad) or `score` (0 to 1)", "verdict")
        if said.score is not None and not 0 <= said.score <= 1:
            raise GatewayError(Reason.BAD_REQUEST, f"`score` must be from 0 to 1, not {said.score:g}", "score")
        if said.propensity is not None and not 0 < said.propensity <= 1:
            raise GatewayError(Reason.BAD_REQUEST, f"`propensity` must be above 0, and at most 1, not {said.propensity:g}", "propensity")
        verdict: dict[str, str | float] = {}
        if said.verdict is not None:
            verdict["verdict"] = said.verdict
        if said.score is not None:
            verdict["score"] = said.score
        if said.propensity is not None:
            verdict["propensity"] = said.propensity
        if len(self._queue) == QUEUE_MAX:
            self.dropped += 1
        asked = self._opens(said.request_id, tenant)
        if asked is not None and not -AHEAD_S_MAX <= wall_s - asked.wall_s <= AGE_S_MAX:
            asked = None
        self._queue.append((said.request_id, tenant, verdict, wall_s if asked is None else asked.wall_s, asked))
        return asked is not None

    async def flush(self, store: Store, count: Counts | None = None) -> int:
        """Write what is queued; return how many. What the store did not take stays queued. Raises: StoreAway."""
        written = 0
        while self._queue:
            request_id, tenant, verdict, wall_s, asked = waiting = self._queue[0]
            is_first = await store.feedback(request_id, tenant, verdict, wall_s)
            if self._queue and self._queue[0] is waiting:  # Else a full queue has dropped it meanwhile.
                self._queue.popleft()
            written += 1
            if is_first and asked is not None and count is not None:
                count(asked.route, is_good(verdict), weight_of(float(verdict.get("propensity", 1.0))), asked.wall_s)
        return written


def is_good(verdict: dict[str, str | float]) -> bool:
    """Return whether a verdict is a good one; what was said goes before a score."""
    if "verdict" in verdict:
        return verdict["verdict"] == "good"
    return float(verdict["score"]) >= GOOD_FROM
