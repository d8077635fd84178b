"""One request on its way: what is known of it so far, and the one settling of its ticket.

Whoever leads a walk on (`attempts`, `whole`, `streamed`, `refusals`) writes down here what it learns, and the books are made from that:
where the request was sent, what was heard of the answer, whether the client has been sent anything.

A ticket is settled exactly once, whatever happens: every further `settle` does nothing.
"""

from gateway.core.ticket import Ticket
from gateway.domain.decision import Placed
from gateway.domain.errors import SERVED, UPSTREAM_REFUSED, Reason
from gateway.domain.event import Form, Outcome
from gateway.domain.facts import CHAT, COMPLETIONS, EMBEDDINGS, RequestFacts
from gateway.pipeline.needs import Runtime, Shared
from gateway.ports import ClientStream, Headers
from gateway.wire.form import form_of
from gateway.wire.headers import DebugTrace, Trace, own, rate_limits, without_rate_limits
from gateway.wire.meter import Meter, Used
from gateway.wire.pace import Pace
from gateway.wire.request import Decoded

MEGABYTE = 1_000_000
NOTHING_USED = Used(0, 0, 0, 0, is_estimated=False)
PATHS = {CHAT: "/chat/completions", COMPLETIONS: "/completions", EMBEDDINGS: "/embeddings"}


class Walk:
    """What is known of one request."""

    __slots__ = (
        "_client_request_id", "_is_settled", "_usd", "answering", "body", "client", "decoded", "dispatcher", "facts", "first_s",
        "headers", "is_debugged", "is_open", "is_refused", "meter", "overhead_s", "pace", "path", "runtime", "shared", "ticket",
    )  # fmt: skip

    def __init__(
        self,
        shared: Shared,
        runtime: Runtime,
        facts: RequestFacts,
        decoded: Decoded,
        headers: Headers,
        client: ClientStream,
        query: str,
        client_request_id: str | None,
        is_debugged: bool,
    ) -> None:
        self.shared, self.runtime, self.dispatcher = shared, runtime, runtime.dispatcher
        self.facts, self.decoded, self.headers, self.client = facts, decoded, headers, client
        self.path = PATHS[facts.endpoint] + (f"?{query}" if query else "")
        self.is_debugged = is_debugged
        self.ticket: Ticket | None = None
        """None until the core has decided, and when it refused."""
        self.overhead_s: float | None = None
        """Our own time before the first attempt; None until then."""
        self.answering: Placed | None = None
        """Where the attempt now under way was sent; None between attempts."""
        self.first_s: float | None = None
        """When that attempt's first content came, or the head of an answer that is not streamed."""
        self.meter = Meter()
        self.body: bytes | None = None
        """A whole answer that could be read."""
        self.pace: Pace | None = None
        """Watches a stream of which some SLO expects a pace."""
        self.is_open = False
        """True once the client has been sent something: no other attempt can be made."""
        self.is_refused = False
        """True once a backend answered with an error of the request's own attempt."""
        self._client_request_id = client_request_id
        self._is_settled = False
        self._usd: float | None = None

    @property
    def taken(self) -> Ticket:
        """The ticket of a request that was not refused."""
        assert self.ticket is not None
        return self.ticket

    def begin(self, placed: Placed, now_s: float) -> None:
        """Note that an attempt begins: of its answer nothing has been heard."""
        if self.overhead_s is None:
            self.overhead_s = max(now_s - self.facts.arrived_s - self.taken.queued_s, 0.0)
        else:
            self.meter, self.body, self.pace = Meter(), None, None
        self.answering, self.first_s = placed, None

    def first_token(self) -> None:
        """Note the first content of the attempt under way, or the head of an answer that is not streamed."""
        now_s = self.shared.clock.now_s()
        self.first_s = now_s
        self.dispatcher.first_token(self.taken, now_s)
        self.shared.sweep(self.dispatcher, now_s)

    async def open(self, status: int, headers: Headers) -> None:
        """Begin the client's answer, of a length that is not known yet."""
        self.is_open = True
        await self.client.start(status, self.with_own(headers), None)

    def settle(self, reason: Reason) -> None:
        """End the ticket for this reason; every further call does nothing."""
        ticket = self.ticket
        if self._is_settled or ticket is None:
            return
        self._is_settled = True
        facts, placed, first_s = self.facts, self.answering, self.first_s
        if self.is_refused or reason is UPSTREAM_REFUSED:
            placed = None  # a refusal bills nothing
        now_s, pace = self.shared.clock.now_s(), self.pace
        elapsed_s = now_s - facts.arrived_s
        if pace is not None and reason is not SERVED:
            pace.ended(now_s)
        if placed is not None:
            used = self.meter.used(facts.prompt_tokens, self.tokens_per_byte(placed.model.name))
        else:
            used = NOTHING_USED
        outcome = Outcome(
            reason,
            placed.model.name if placed is not None else None,
            ttft_s=first_s - facts.arrived_s if first_s is not None and facts.is_streaming else None,
            total_s=elapsed_s,
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
            cached_tokens=used.cached_tokens,
            is_estimated=used.is_estimated,
            attempts=ticket.attempts,
            was_streamed=facts.is_streaming,
            before_deadline=first_s is not None or elapsed_s < facts.klass.ttft_deadline_s,
            timelines=pace.timelines() if pace is not None else (),
            stall_s=pace.stall_s if pace is not None else 0.0,
            form=self._form(reason),
            reasoning_tokens=used.reasoning_tokens,
        )
        self._usd = self.shared.ended(self.dispatcher, ticket, outcome, self.overhead_s or 0.0)
        if reason is SERVED and not used.is_estimated and placed is not None:
            self.dispatcher.state.tokens.learn_completion(placed.model.name, self.meter.content_bytes, used.completion_tokens)

    def tokens_per_byte(self, model: str) -> float:
        """Return what a byte of a model's completions counts for, as learned so far."""
        return self.dispatcher.state.tokens.completion(model, MEGABYTE) / MEGABYTE

    def with_own(self, theirs: Headers) -> list[tuple[str, str]]:
        """Return a backend's headers and ours; of a backend's own limits nobody is told who has limits here."""
        return [*(without_rate_limits(theirs) if self.dispatcher.is_limited(self.facts) else theirs), *self.own_headers()]

    def own_headers(self, reason: Reason | None = None) -> list[tuple[str, str]]:
        """Return what we say of the request's way in an answer's head; of a refusal, its reason."""
        ticket, facts, placed = self.ticket, self.facts, self.answering
        # Where another model than the chosen one answers, its placement says so; the record keeps what was decided.
        choice = placed.choice if placed is not None else ticket.choice if ticket is not None else None
        why = reason.label if reason is not None else choice.reason if choice is not None else "none"
        attempts = 0 if ticket is None else ticket.attempts
        model = None if placed is None else placed.model.name
        trace = Trace(facts.request_id, model, why, attempts, self.overhead_s or 0.0, self._client_request_id)
        debug = None
        if self.is_debugged and choice is not None:
            version, backend = (None, None) if placed is None else (placed.prices_version, placed.backend.id)
            debug = DebugTrace(choice.threshold, choice.win_rate, backend, self._usd, version)
        told = own(trace, debug)
        if self.dispatcher.is_limited(facts):
            clock = self.shared.clock
            told += rate_limits(self.dispatcher.standing(facts, ticket, clock.now_s(), clock.wall_s()))
        return told

    def _form(self, reason: Reason) -> Form | None:
        """Return the form of a served answer that we could read, where some SLO asks for it."""
        facts, meter = self.facts, self.meter
        if reason is not SERVED or not meter.events or facts.endpoint is EMBEDDINGS:
            return None
        return form_of(self.decoded, meter, self.body) if self.dispatcher.promise(facts.route).looks_at_form else None
