"""The story of one request: score, decide, send, relay, book. No rule in it: whoever decides is asked, in order.

One coroutine in the caller's own task; cancelling it is how a client that left is told. `Pipeline` begins it and writes its end down; in
between are `attempts`, what passes an answer on (`whole`, `streamed`) or says that there is none (`refusals`), and the `Walk` they share.

- A ticket is settled exactly once, whatever happens, and before the end of an answer is written.
- No task, no timer: who waits in the schedule costs one future, woken by whatever made room or by `sweep`. Only a limited
  tenant's request whose units are not at hand waits for the store, once and bounded (`Leases.fetch`).
"""

import asyncio
import logging
from collections.abc import Sequence

from gateway.core.dispatcher import Dispatcher
from gateway.core.ticket import Booking, Ticket
from gateway.domain.catalog import Model, Route
from gateway.domain.decision import Placed, Shed
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.event import Outcome
from gateway.domain.facts import RequestFacts
from gateway.pipeline.attempts import attempts
from gateway.pipeline.needs import Leases, Observer, Runtime, Upstream
from gateway.pipeline.refusals import cut_short, refuse
from gateway.pipeline.send import send_refusal
from gateway.pipeline.walk import Walk
from gateway.ports import ClientGone, ClientStream, Clock, DecisionLog, Headers, Recorder
from gateway.wire.headers import Trace, own
from gateway.wire.refusal import refusal
from gateway.wire.request import Decoded

LOG = logging.getLogger("sluice.pipeline")


class Pipeline:
    """Leads requests through the gateway."""

    def __init__(
        self, clock: Clock, upstream: Upstream, recorder: Recorder, log: DecisionLog, observer: Observer, leases: Leases | None = None
    ) -> None:
        """Build the story. leases: where limits are shared; None: the core has them to itself."""
        self.clock, self.upstream = clock, upstream
        self.recorder, self.log, self.observer = recorder, log, observer
        self._leases = leases
        self._waiting: dict[Ticket, asyncio.Future[Shed | None]] = {}

    def scored(self, runtime: Runtime, asked: Sequence[tuple[RequestFacts, Decoded]]) -> list[tuple[float, ...] | None]:
        """Return predicted qualities of each request's candidates; None where nothing can be chosen.

        Prompts for the same router are answered together.
        """
        answers: list[tuple[float, ...] | None] = [None] * len(asked)
        batches: dict[str, list[int]] = {}
        for i, (facts, _) in enumerate(asked):
            route = route_of(runtime, facts) if len(facts.candidates) > 1 else None
            if route is not None:
                batches.setdefault(route, []).append(i)
        for route, batch in batches.items():
            scorer = runtime.scorers[route]
            prompts = [asked[i][1].prompt_text for i in batch]
            # What surrounds a question is read only for scorers that were trained on it.
            talks = [asked[i][1].talk if scorer.reads_talk else None for i in batch]
            for i, qualities in zip(batch, scorer.many(prompts, talks), strict=True):
                facts = asked[i][0]
                answers[i] = qualities if facts.route == route else picked(runtime.catalog.routes[route], facts.candidates, qualities)
        return answers

    async def answer(
        self,
        runtime: Runtime,
        facts: RequestFacts,
        decoded: Decoded,
        qualities: tuple[float, ...] | None,
        headers: Headers,
        client: ClientStream,
        query: str = "",
        client_request_id: str | None = None,
        is_debugged: bool = False,
    ) -> None:
        """Answer one request, or refuse it; the client has its answer's last byte when this returns.

        Args:
            runtime: the config version in force on arrival.
            qualities: what `scored` said of it.
            headers: the client's, as they came.
            query: the raw query of its URL, without the question mark.
            is_debugged: whether the tenant may see more about the decision.
        Raises: CancelledError, when cancelled; nothing else.
        """
        walk = Walk(self, runtime, facts, decoded, headers, client, query, client_request_id, is_debugged)
        dispatcher = runtime.dispatcher
        try:
            now_s, wall_s = self.clock.now_s(), self.clock.wall_s()
            decided = dispatcher.decide(facts, qualities, now_s, wall_s)
            if isinstance(decided, Shed):
                booking = dispatcher.refused(facts, decided, now_s, wall_s)
                outcome = Outcome(decided.reason, None, total_s=now_s - facts.arrived_s, attempts=0, was_streamed=facts.is_streaming)
                self._book(booking, facts, None, outcome, now_s - facts.arrived_s, wall_s)
                await refuse(walk, decided)
                return
            walk.ticket = decided
            self.recorder.book(decided.opening, wall_s)
            shed = await self._fetch(dispatcher, decided) if decided.lacks else None
            if shed is None and decided.placed is None:
                shed = await self._turn(decided)
            if shed is None:
                await attempts(walk)
            else:
                walk.settle(shed.reason)
                await refuse(walk, shed)
        except ClientGone:
            walk.settle(Reason.CLIENT_CANCELLED)
        except asyncio.CancelledError:
            walk.settle(Reason.CLIENT_CANCELLED if client.is_gone else Reason.SHUTTING_DOWN)
            await cut_short(walk, Reason.SHUTTING_DOWN, "the gateway is shutting down")
            raise
        except Exception:
            LOG.exception("request %s", facts.request_id)
            walk.settle(Reason.INTERNAL)
            await cut_short(walk, Reason.INTERNAL, f"internal error; please report it with the request id {facts.request_id}")
        finally:
            walk.settle(Reason.INTERNAL)

    async def refuse(
        self, runtime: Runtime, error: GatewayError, request_id: str, client: ClientStream, client_request_id: str | None = None
    ) -> None:
        """Refuse a request that never became one: no key, unknown model, too large."""
        self.turned_away(runtime, error.reason)
        trace = Trace(request_id, None, error.reason.value, 0, 0.0, client_request_id)
        try:
            await send_refusal(client, refusal(error), [], own(trace))
        except ClientGone:
            pass

    def turned_away(self, runtime: Runtime, reason: Reason) -> None:
        """Count a request that never became one and was told so elsewhere."""
        self.recorder.book(runtime.dispatcher.turned_away(reason), self.clock.wall_s())
        self.observer.turned_away(reason)

    def judged(self, runtime: Runtime, route: str, is_good: bool, weight: float, wall_s: float) -> None:
        """Count a verdict on an answer, in the slot of its request's time."""
        self.recorder.book(runtime.dispatcher.verdict(is_good, route, weight), wall_s)

    def sweep(self, dispatcher: Dispatcher, now_s: float) -> None:
        """Wake the queued requests whose turn has come, or whose time has run out."""
        if not dispatcher.waiting:
            return
        for ticket, shed in dispatcher.next_ready(now_s):
            future = self._waiting.pop(ticket, None)
            if future is not None and not future.done():
                future.set_result(shed)

    async def _fetch(self, dispatcher: Dispatcher, ticket: Ticket) -> Shed | None:
        """Fetch units of the tenant's limits from the store, and go on deciding; return the refusal, if there is one."""
        draw = ticket.draw
        assert self._leases is not None and draw is not None
        refused = await self._leases.fetch(draw)
        decided = dispatcher.drawn(ticket, refused, self.clock.now_s(), self.clock.wall_s())
        return decided if isinstance(decided, Shed) else None

    async def _turn(self, ticket: Ticket) -> Shed | None:
        """Wait in the schedule; return None when it is our turn, or the refusal."""
        future: asyncio.Future[Shed | None] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = future
        try:
            return await future
        finally:
            self._waiting.pop(ticket, None)

    def _book(
        self, booking: Booking, facts: RequestFacts, placed: Placed | None, outcome: Outcome, overhead_s: float, wall_s: float
    ) -> None:
        self.recorder.book(booking.entries, wall_s)
        self.log.write(booking.record)
        self.observer.ended(facts, placed, outcome, booking.usd, overhead_s)

    def ended(self, dispatcher: Dispatcher, ticket: Ticket, outcome: Outcome, overhead_s: float) -> float:
        """Settle a ticket and write down what became of it; return its dollars."""
        now_s, wall_s = self.clock.now_s(), self.clock.wall_s()
        booking = dispatcher.ended(ticket, outcome, now_s, wall_s)
        self._book(booking, ticket.facts, ticket.placed, outcome, overhead_s, wall_s)
        self.sweep(dispatcher, now_s)
        return booking.usd


def route_of(runtime: Runtime, facts: RequestFacts) -> str | None:
    """Return the route whose router knows the candidates of a request; None where no router does."""
    if facts.route in runtime.scorers:
        return facts.route
    # A model asked for by name that may be downgraded: some route's router knows both.
    names = {model.name for model in facts.candidates}
    return next((r.name for r in runtime.catalog.routes.values() if r.name in runtime.scorers and names.issubset(r.models)), None)


def picked(route: Route, candidates: Sequence[Model], qualities: tuple[float, ...]) -> tuple[float, ...]:
    """Return the qualities of these candidates out of those of all models of a route."""
    return tuple([qualities[route.models.index(model.name)] for model in candidates])
