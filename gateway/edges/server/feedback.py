"""Verdicts on earlier answers: checked here, written to the store in the background, never on a request's path."""

import re
from collections import deque
from typing import Literal

import msgspec

from gateway.domain.errors import GatewayError, Reason
from gateway.ports import Store

QUEUE_MAX = 10_000
"""Verdicts held while the store is away; the oldest go first."""
ID_FORM = re.compile("req_[0-9a-f]{24}")


class Verdict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of POST /v1/feedback. No free text, so that no prompt can get into the store."""

    request_id: str
    verdict: Literal["good", "bad"] | None = None
    score: float | None = None


_decode = msgspec.json.Decoder(Verdict).decode


class Feedback:
    """Verdicts on their way to the store."""

    def __init__(self) -> None:
        self._queue: deque[tuple[str, str, dict[str, str | float], float]] = deque(maxlen=QUEUE_MAX)
        self.dropped = 0

    def take(self, body: bytes, tenant: str, wall_s: float) -> None:
        """Check and queue one verdict. Raises: GatewayError BAD_REQUEST, BAD_JSON."""
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
        verdict: dict[str, str | float] = {}
        if said.verdict is not None:
            verdict["verdict"] = said.verdict
        if said.score is not None:
            verdict["score"] = said.score
        if len(self._queue) == QUEUE_MAX:
            self.dropped += 1
        self._queue.append((said.request_id, tenant, verdict, wall_s))

    async def flush(self, store: Store) -> int:
        """Write what is queued; return how many. What the store did not take stays queued. Raises: StoreAway."""
        written = 0
        while self._queue:
            await store.feedback(*self._queue[0])
            self._queue.popleft()
            written += 1
        return written
