"""The story of one request: score, decide, send, relay, book. No rule in it: whoever decides is asked, in order.

One coroutine in the caller's own task; cancelling it is how a client that left is told. What holds:

- A ticket is settled exactly once, whatever happens, and before the end of a whole answer is written, so that a slow reader
  holds no backend's slot.
- Until the first content (text, reasoning, a tool call) nothing reaches the client, so that another attempt may be made;
  comments and role-only deltas are held back, at most `HOLD_S` or `HOLD_BYTES`, then passed on in order. From then
  on a failure ends the stream with an error event and never with [DONE].
- Bytes are passed on as they came, but for the usage chunk that only we asked for. Broken events are held until whole.
- No task, no timer: who waits in the schedule costs one future, woken by whatever made room or by `sweep`. Only a limited
  tenant's request whose units are not at hand waits for the store, once and bounded (`Leases.fetch`).

A body that is not streamed is held whole up to `WHOLE_BYTES_MAX`; a larger one is passed on as it comes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from gateway.core.dispatcher import Booking, Dispatcher, Ticket
from gateway.core.tenants.limits import Draw
from gateway.domain.catalog import Catalog, Model, Route
from gateway.domain.decision import Placed, Shed
from gateway.domain.errors import REFUSALS, GatewayError, Reason
from gateway.domain.event import Form, Outcome
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.ports import (
    Call,
    ClientGone,
    ClientStream,
    Clock,
    DecisionLog,
    Headers,
    Recorder,
    Scorer,
    UpstreamAnswer,
    UpstreamFailure,
)
from gateway.wire.aggregate import Aggregate
from gateway.wire.chunk import is_error, is_usage_only
from gateway.wire.form import form_of, wants_json
from gateway.wire.headers import DebugTrace, Trace, forwarded, own, rate_limits, returned, without_rate_limits
from gateway.wire.meter import Meter, Used
from gateway.wire.pace import Pace
from gateway.wire.refusal import Refusal, refusal, terminal_event, upstream_body
from gateway.wire.request import Decoded, splice
from gateway.wire.sse import SseEvent, SseReader, first_event, is_done, plain_events
from gateway.wire.transcript import Transcript

LOG = logging.getLogger("sluice.pipeline")
HOLD_S = 1.0
HOLD_BYTES = 64 * 1024
WHOLE_BYTES_MAX = 8 * 1024 * 1024
ERROR_BODY_MAX = 1024 * 1024
MEGABYTE = 1_000_000
NOT_ENCODED = frozenset(("identity",))
NOTHING_USED = Used(0, 0, 0, 0, is_estimated=False)
PATHS = {Endpoint.CHAT: "/chat/completions", Endpoint.COMPLETIONS: "/completions", Endpoint.EMBEDDINGS: "/embeddings"}
SAID = {
    Reason.UPSTREAM_UNREACHABLE: "no backend could be reached",
    Reason.UPSTREAM_AUTH: "the backend did not accept the gateway's credentials",
    Reason.UPSTREAM_ERROR: "the backend failed",
    Reason.UPSTREAM_RATE_LIMITED: "the backend's own limit is reached",
    Reason.UPSTREAM_TIMEOUT_CONNECT: "the backend could not be reached in time",
    Reason.UPSTREAM_TIMEOUT_TTFT: "the backend sent no first token in time",
    Reason.UPSTREAM_TIMEOUT_IDLE: "the backend fell silent in the middle of its answer",
    Reason.UPSTREAM_TIMEOUT_TOTAL: "the answer was not complete in time",
    Reason.UPSTREAM_CUT: "the backend broke off its answer",
    Reason.UPSTREAM_BAD_ANSWER: "the backend sent something that is no answer",
}
"""What clients are told; the backend's address stays with us."""
JUDGED = {
    401: Reason.UPSTREAM_AUTH,
    403: Reason.UPSTREAM_AUTH,
    408: Reason.UPSTREAM_ERROR,
    429: Reason.UPSTREAM_RATE_LIMITED,
}
"""Errors inside an answer of status 200, by the code they name."""


class Patience(Protocol):
    """The clocks that one request needs, clock seconds."""

    @property
    def ttft_timeout(self) -> float: ...  # noqa: D102
    @property
    def total_timeout(self) -> float: ...  # noqa: D102


class Configured(Protocol):
    """What a request needs of the configuration."""

    @property
    def upstream(self) -> Patience: ...  # noqa: D102


class Runtime(Protocol):
    """What one config version offers to requests; a request keeps the one it began with."""

    @property
    def config(self) -> Configured: ...  # noqa: D102
    @property
    def catalog(self) -> Catalog: ...  # noqa: D102
    @property
    def dispatcher(self) -> Dispatcher: ...  # noqa: D102
    @property
    def scorers(self) -> Mapping[str, Scorer]: ...  # noqa: D102


class Answer(UpstreamAnswer, Protocol):
    """A backend's answer whose first-token clock runs until it is told that content came."""

    def content_began(self) -> None:
        """Stop the first token's clock of a stream; the idle clock takes over."""
        ...


class Upstream(Protocol):
    """All backends."""

    async def send(self, backend: Any, call: Call) -> Answer:
        """Send a request and wait for the answer's head. Raises: UpstreamFailure."""
        ...


class Observer(Protocol):
    """Counts what is shown as metrics."""

    def ended(self, facts: RequestFacts, placed: Placed | None, outcome: Outcome, usd: float, overhead_s: float) -> None:
        """Count one ended request."""
        ...

    def turned_away(self, reason: Reason) -> None:
        """Count a request refused before anything was decided."""
        ...

    def again(self, model: str, is_retry: bool) -> None:
        """Count a further attempt."""
        ...


class Leases(Protocol):
    """Units of tenants' limits, shared by all replicas."""

    async def fetch(self, draw: Draw) -> Shed | None:
        """Ask the store once for what a request lacks, take it, and return who refuses; bounded, and never raises for the store's sake."""
        ...


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
                await walk.refuse(decided)
                return
            walk.ticket = decided
            self.recorder.book(decided.opening, wall_s)
            shed = await self._fetch(dispatcher, decided) if decided.lacks else None
            if shed is None and decided.placed is None:
                shed = await self._turn(decided)
            if shed is None:
                await walk.attempts()
            else:
                walk.settle(shed.reason)
                await walk.refuse(shed)
        except ClientGone:
            walk.settle(Reason.CLIENT_CANCELLED)
        except asyncio.CancelledError:
            walk.settle(Reason.CLIENT_CANCELLED if client.is_gone else Reason.SHUTTING_DOWN)
            await walk.cut_short(Reason.SHUTTING_DOWN, "the gateway is shutting down")
            raise
        except Exception:
            LOG.exception("request %s", facts.request_id)
            walk.settle(Reason.INTERNAL)
            await walk.cut_short(Reason.INTERNAL, f"internal error; please report it with the request id {facts.request_id}")
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


class Walk:
    """One request on its way: what is known of it so far, and the attempts to answer it."""

    __slots__ = (
        "_answering", "_body", "_client_request_id", "_first_s", "_forwarded", "_is_debugged", "_is_open", "_is_refused",
        "_is_settled", "_meter", "_overhead_s", "_pace", "_path", "_pipeline", "_usd", "client", "decoded", "dispatcher",
        "facts", "headers", "runtime", "ticket",
    )  # fmt: skip

    def __init__(
        self,
        pipeline: Pipeline,
        runtime: Runtime,
        facts: RequestFacts,
        decoded: Decoded,
        headers: Headers,
        client: ClientStream,
        query: str,
        client_request_id: str | None,
        is_debugged: bool,
    ) -> None:
        self._pipeline, self.runtime, self.dispatcher = pipeline, runtime, runtime.dispatcher
        self.facts, self.decoded, self.headers, self.client = facts, decoded, headers, client
        self._path = PATHS[facts.endpoint] + (f"?{query}" if query else "")
        self._client_request_id, self._is_debugged = client_request_id, is_debugged
        self.ticket: Ticket | None = None
        self._forwarded: list[tuple[str, str]] | None = None
        self._meter = Meter()
        self._body: bytes | None = None
        """A whole answer that could be read."""
        self._pace: Pace | None = None
        """Watches a stream of which some SLO expects a pace."""
        self._answering: Placed | None = None
        """Where the attempt now under way was sent; None between attempts."""
        self._is_open = False
        """True once the client has been sent something."""
        self._is_refused = False
        """True once a backend answered with an error of the request's own attempt."""
        self._is_settled = False
        self._first_s: float | None = None
        self._overhead_s: float | None = None
        """Our own time before the first attempt; None until then."""
        self._usd: float | None = None

    # -- attempts --------------------------------------------------------------------------------------------------

    async def attempts(self) -> None:
        """Send to the ticket's backend, and to the next one while the core has one."""
        ticket, pipeline = self._ticket, self._pipeline
        while True:
            try:
                await self._attempt()
                return
            except UpstreamFailure as exc:
                failure = exc
            except GatewayError as exc:  # the wire could not read the backend's answer
                failure = UpstreamFailure(exc.reason, exc.message)
            if self._is_open:
                self.settle(failure.reason)
                await self.cut_short(failure.reason, self._said(failure))
                return
            if failure.reason is Reason.UPSTREAM_REFUSED:
                self.settle(failure.reason)
                await self._tell(failure)
                return
            now_s = pipeline.clock.now_s()
            self._answering = None
            again = self.dispatcher.failed(ticket, failure.reason, now_s, failure.retry_after_s)
            pipeline.sweep(self.dispatcher, now_s)
            if again is None or self._left_s(now_s) <= again.delay_s:
                self.settle(failure.reason)
                await self._tell(failure)
                return
            assert ticket.placed is not None
            pipeline.observer.again(ticket.placed.model.name, again.is_retry)
            if again.delay_s > 0:
                await pipeline.clock.sleep(again.delay_s)

    async def _attempt(self) -> None:
        """Make one attempt and pass on its answer.

        Raises: UpstreamFailure.
        """
        ticket, facts, decoded, pipeline = self._ticket, self.facts, self.decoded, self._pipeline
        placed = ticket.placed
        assert placed is not None
        if self._forwarded is None:
            self._forwarded = forwarded(self.headers, facts.request_id)
        else:
            self._meter, self._pace = Meter(), None
        body = splice(decoded, placed.backend.model, include_usage=facts.endpoint is not Endpoint.EMBEDDINGS)
        now_s = pipeline.clock.now_s()
        if self._overhead_s is None:
            self._overhead_s = max(now_s - facts.arrived_s - ticket.queued_s, 0.0)
        patience = self.runtime.config.upstream
        call = Call(self._path, body, self._forwarded, decoded.is_streaming, patience.ttft_timeout, max(self._left_s(now_s), 0.001))
        self.dispatcher.sent(ticket, now_s)
        self._answering, self._first_s = placed, None
        answer = await pipeline.upstream.send(placed.backend, call)
        try:
            if answer.status >= 400:
                await self._pass_refusal(answer)
            elif not answer.is_stream:
                await self._pass_whole(answer)
            elif decoded.is_streaming:
                await self._pass_stream(answer)
            else:
                await self._pass_aggregate(answer)
        finally:
            answer.close()

    def _left_s(self, now_s: float) -> float:
        return self.facts.arrived_s + self.runtime.config.upstream.total_timeout - now_s

    # -- answers ---------------------------------------------------------------------------------------------------

    async def _pass_whole(self, answer: Answer) -> None:
        """Pass on an answer that is not streamed."""
        self._first_token()
        parts: list[bytes] = []
        size = 0
        async for chunk in answer.chunks():
            if self._is_open:
                await self.client.write(chunk)
                continue
            parts.append(chunk)
            size += len(chunk)
            if size > WHOLE_BYTES_MAX:
                await self._open(answer.status, returned(answer.headers, False))
                await self.client.write(b"".join(parts))
                parts.clear()
        if self._is_open:
            self.settle(Reason.SERVED)
            await self.client.finish()
            return
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if not is_encoded(answer.headers):
            if not body.lstrip().startswith(b"{"):
                raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "the answer is not a JSON object")
            self._meter.see_whole(body)
            self._body = body
            if not self._meter.has_content and is_error(body):
                self._judge_error(body)
        await self._send_whole(answer.status, returned(answer.headers, False), body)

    async def _pass_aggregate(self, answer: Answer) -> None:
        """Put one answer together from a stream that a backend sent although none was asked for."""
        reader, whole, meter = SseReader(), Aggregate(), self._meter
        async for chunk in answer.chunks():
            for event in reader.feed(chunk):
                self._add(event, whole)
            if meter.has_content and self._first_s is None:
                answer.content_began()
                self._first_token()
        for event in reader.finish():
            self._add(event, whole)
        if not meter.has_content and meter.finish_reason is None:
            raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "an empty stream")
        if not meter.is_done and meter.finish_reason is None:
            raise UpstreamFailure(Reason.UPSTREAM_CUT, "the stream ended without its end")
        headers = [("content-type", "application/json"), *returned(answer.headers, True)]
        self._body = whole.result()
        await self._send_whole(answer.status, headers, self._body)

    def _add(self, event: SseEvent, whole: Aggregate) -> None:
        data = event.data
        if data is None:
            return
        if is_error(data):
            self._judge_error(data)
        self._meter.see(data)
        if not is_done(data):
            whole.add(data)

    def _send_whole(self, status: int, headers: Headers, body: bytes) -> Awaitable[None]:
        """Settle; return the sending, to be awaited."""
        self.settle(Reason.SERVED)
        self._is_open = True
        return send(self.client, status, self._with_own(headers), body)

    async def _pass_refusal(self, answer: Answer) -> None:
        """Pass on a backend's own refusal of this request."""
        body = bytearray()
        async for chunk in answer.chunks():
            body += chunk
            if len(body) > ERROR_BODY_MAX:
                raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "an error body without end")
        self._is_refused = True
        self.settle(Reason.UPSTREAM_REFUSED if answer.status in REFUSALS else Reason.UPSTREAM_ERROR)
        await self._send_theirs(answer.status, answer.headers, bytes(body), None)

    async def _pass_stream(self, answer: Answer) -> None:
        """Pass on a stream: event by event until its first content, then what is plain content as it came."""
        if is_encoded(answer.headers):
            await self._pass_opaque(answer)
            return
        if self._is_to_be_json():
            self._meter = Transcript()
        reader, meter, clock = SseReader(), self._meter, self._pipeline.clock
        pace = self._pace = self._paced()
        is_injected = not self.decoded.wants_usage
        headers = returned(answer.headers, False)
        held: list[bytes] = []
        held_bytes, held_from_s = 0, clock.now_s()
        async for chunk in answer.chunks():
            out: list[bytes] = []
            rest = chunk
            while rest:
                if self._first_s is None:  # Event by event, until there is content.
                    piece, rest = first_event(rest)
                else:
                    end, events = plain_events(rest) if reader.is_between_events else (0, 0)
                    if end:
                        out.append(rest[:end])
                        meter.see_plain(out[-1], events)
                    piece, rest = rest[end:], b""
                for event in reader.feed(piece) if piece else ():
                    data = event.data
                    if data is not None:
                        if b'"error"' in data and is_error(data):
                            await self._end_with_error(data, b"".join((*out, event.raw)))
                            return
                        self._see(data, answer)
                        if is_injected and meter.usage is not None and b'"usage"' in data and is_usage_only(data):
                            continue
                    out.append(event.raw)
            if not out:
                continue
            raw = b"".join(out) if len(out) > 1 else out[0]
            if not self._is_open:
                held.append(raw)
                held_bytes += len(raw)
                if self._first_s is None and held_bytes < HOLD_BYTES and clock.now_s() - held_from_s < HOLD_S:
                    continue
                await self._open(answer.status, headers)
                raw = b"".join(held)
            if pace is not None:
                pace.saw(clock.now_s(), meter.content_bytes)
            await self.client.write(raw)
            if pace is not None:
                pace.wrote(clock.now_s())
        await self._end_stream(answer, reader.finish(), headers, held)

    def _is_to_be_json(self) -> bool:
        """Say whether the client asked for JSON and some SLO wants to know whether it got it."""
        decoded = self.decoded
        return decoded.has_response_format and self.dispatcher.promise(self.facts.route).looks_at_form and wants_json(decoded)

    def _paced(self) -> Pace | None:
        timelines = self.dispatcher.promise(self.facts.route).timelines
        if not timelines or self._answering is None:
            return None
        ratio = self.dispatcher.state.tokens.completion(self._answering.model.name, MEGABYTE) / MEGABYTE
        return Pace(timelines, self.facts.arrived_s, ratio)

    async def _end_stream(self, answer: Answer, last: list[SseEvent], headers: Headers, held: list[bytes]) -> None:
        """Take what was left without its last blank line, and end the client's stream if this was a whole answer.

        Raises: UpstreamFailure when it was none.
        """
        meter = self._meter
        for event in last:
            if event.data is not None:
                if is_error(event.data):
                    await self._end_with_error(event.data, event.raw)
                    return
                self._see(event.data, answer)
        if self._first_s is None:
            raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "an empty stream")
        if not meter.is_done and meter.finish_reason is None:
            raise UpstreamFailure(Reason.UPSTREAM_CUT, "the stream ended without its end")
        self.settle(Reason.SERVED)
        if not self._is_open:
            await self._open(answer.status, headers)
            last = [SseEvent(b"".join(held), None), *last]
        if last:
            await self.client.write(b"".join(event.raw for event in last))
        await self.client.finish()

    def _see(self, data: bytes, answer: Answer) -> None:
        """Take in an event; note the first content. An answer of no text is one too, if it says why it ended."""
        meter = self._meter
        meter.see(data)
        if self._first_s is None and (meter.has_content or meter.finish_reason is not None):
            answer.content_began()
            self._first_token()

    async def _end_with_error(self, data: bytes, raw: bytes) -> None:
        """End a stream with the backend's own error event; no [DONE] may make the answer look whole.

        Raises: UpstreamFailure while the client has not received anything.
        """
        if not self._is_open:
            self._judge_error(data)
        self.settle(Reason.UPSTREAM_ERROR)
        await self.client.write(raw)
        await self.client.finish()

    async def _pass_opaque(self, answer: Answer) -> None:
        """Pass on a stream that we cannot read, since the backend compressed it although asked not to."""
        headers = returned(answer.headers, False)
        async for chunk in answer.chunks():
            if not self._is_open:
                answer.content_began()
                self._first_token()
                await self._open(answer.status, headers)
            await self.client.write(chunk)
        if not self._is_open:
            raise UpstreamFailure(Reason.UPSTREAM_BAD_ANSWER, "an empty stream")
        self.settle(Reason.SERVED)
        await self.client.finish()

    # -- refusals --------------------------------------------------------------------------------------------------

    async def refuse(self, why: GatewayError | Shed) -> None:
        """Tell the client a refusal of our own."""
        await send_refusal(self.client, refusal(why), [], self._own_headers(why.reason))

    async def cut_short(self, reason: Reason, message: str) -> None:
        """Tell the client, if it is still there, that we give up in the middle."""
        client = self.client
        try:
            if client.is_gone or (self._is_open and not self.decoded.is_streaming):
                client.abort()
            elif self._is_open:
                await client.write(terminal_event(reason, message))
                await client.finish()
            else:
                await self.refuse(GatewayError(reason, message))
        except ClientGone:
            pass

    async def _tell(self, failure: UpstreamFailure) -> None:
        """Tell the client that no attempt succeeded: in the last backend's own words, if it had some."""
        if failure.status is not None and failure.reason is not Reason.UPSTREAM_AUTH:
            await self._send_theirs(failure.status, failure.headers, failure.body, failure.retry_after_s)
        else:
            await self.refuse(GatewayError(failure.reason, self._said(failure), retry_after_s=failure.retry_after_s))

    async def _send_theirs(self, status: int, headers: Headers, body: bytes, retry_after_s: float | None) -> None:
        content_type = next((text for name, text in headers if name.lower() == "content-type"), "")
        theirs = upstream_body(status, body, content_type, retry_after_s)
        self._is_open = True
        passed = returned(headers, True)
        if self.dispatcher.is_limited(self.facts):
            passed = without_rate_limits(passed)
        await send_refusal(self.client, theirs, passed, self._own_headers())

    def _said(self, failure: UpstreamFailure) -> str:
        return failure.message if self._is_debugged else SAID.get(failure.reason, "the backend failed")

    def _judge_error(self, data: bytes) -> None:
        """Take an error object that came with status 200 as what it says it is.

        Raises: UpstreamFailure always: UPSTREAM_REFUSED when it is about the request, so that no other attempt can help.
        """
        status = status_in(data) or 502
        reason = JUDGED.get(status, Reason.UPSTREAM_REFUSED if status in REFUSALS else Reason.UPSTREAM_ERROR)
        raise UpstreamFailure(reason, "an error instead of an answer", status, (("content-type", "application/json"),), data)

    # -- books -----------------------------------------------------------------------------------------------------

    def settle(self, reason: Reason) -> None:
        """End the ticket for this reason; every further call does nothing."""
        ticket = self.ticket
        if self._is_settled or ticket is None:
            return
        self._is_settled = True
        facts, placed, first_s = self.facts, self._answering, self._first_s
        if self._is_refused or reason is Reason.UPSTREAM_REFUSED:
            placed = None  # a refusal bills nothing
        now_s, pace = self._pipeline.clock.now_s(), self._pace
        elapsed_s = now_s - facts.arrived_s
        if pace is not None and reason is not Reason.SERVED:
            pace.ended(now_s)
        used = self._used(placed.model.name) if placed is not None else NOTHING_USED
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
        self._usd = self._pipeline.ended(self.dispatcher, ticket, outcome, self._overhead_s or 0.0)
        if reason is Reason.SERVED and not used.is_estimated and placed is not None:
            self.dispatcher.state.tokens.learn_completion(placed.model.name, self._meter.content_bytes, used.completion_tokens)

    def _form(self, reason: Reason) -> Form | None:
        """Return the form of a served answer that we could read, where some SLO asks for it."""
        facts, meter = self.facts, self._meter
        if reason is not Reason.SERVED or not meter.events or facts.endpoint is Endpoint.EMBEDDINGS:
            return None
        return form_of(self.decoded, meter, self._body) if self.dispatcher.promise(facts.route).looks_at_form else None

    def _used(self, model: str) -> Used:
        ratio = self.dispatcher.state.tokens.completion(model, MEGABYTE) / MEGABYTE
        return self._meter.used(self.facts.prompt_tokens, ratio)

    def _first_token(self) -> None:
        """Note the first content of the attempt under way, or the head of an answer that is not streamed."""
        now_s = self._pipeline.clock.now_s()
        self._first_s = now_s
        self.dispatcher.first_token(self._ticket, now_s)
        self._pipeline.sweep(self.dispatcher, now_s)

    async def _open(self, status: int, headers: Headers) -> None:
        self._is_open = True
        await self.client.start(status, self._with_own(headers), None)

    def _with_own(self, theirs: Headers) -> list[tuple[str, str]]:
        """Return a backend's headers and ours; of a backend's own limits nobody is told who has limits here."""
        return [*(without_rate_limits(theirs) if self.dispatcher.is_limited(self.facts) else theirs), *self._own_headers()]

    def _own_headers(self, reason: Reason | None = None) -> list[tuple[str, str]]:
        ticket, facts, placed = self.ticket, self.facts, self._answering
        choice = ticket.choice if ticket is not None else None
        why = reason.value if reason is not None else choice.reason if choice is not None else "none"
        attempts = 0 if ticket is None else ticket.attempts
        model = None if placed is None else placed.model.name
        trace = Trace(facts.request_id, model, why, attempts, self._overhead_s or 0.0, self._client_request_id)
        debug = None
        if self._is_debugged and choice is not None:
            version, backend = (None, None) if placed is None else (placed.prices_version, placed.backend.id)
            debug = DebugTrace(choice.threshold, choice.win_rate, backend, self._usd, version)
        told = own(trace, debug)
        if self.dispatcher.is_limited(facts):
            clock = self._pipeline.clock
            told += rate_limits(self.dispatcher.standing(facts, ticket, clock.now_s(), clock.wall_s()))
        return told

    @property
    def _ticket(self) -> Ticket:
        assert self.ticket is not None
        return self.ticket


class _Coded(msgspec.Struct):
    code: int | str | None = None


class _Error(msgspec.Struct):
    error: _Coded


_decode_error = msgspec.json.Decoder(_Error).decode


def status_in(data: bytes) -> int | None:
    """Return the HTTP status that an error object names as its code; None when it names none."""
    try:
        code = _decode_error(data).error.code
        status = int(code) if code is not None else 0
    except (msgspec.DecodeError, ValueError):
        return None
    return status if 400 <= status < 600 else None


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


def is_encoded(headers: Headers) -> bool:
    """Say whether a body is compressed."""
    encodings = [text.lower() for name, text in headers if len(name) == 16 and name.lower() == "content-encoding"]
    return not NOT_ENCODED.issuperset(encodings)


async def send(client: ClientStream, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    await client.start(status, headers, len(body))
    if body:
        await client.write(body)
    await client.finish()


async def send_refusal(client: ClientStream, said: Refusal, theirs: Headers, ours: Headers) -> None:
    """Send a refusal; of what a backend said in its headers, ours replaces the same names."""
    names = {name.lower() for name, _ in said.headers}
    kept = [(name, text) for name, text in theirs if name.lower() not in names]
    closing = [("connection", "close")] if said.must_close else []
    await send(client, said.status, [*kept, *said.headers, *ours, *closing], said.body)
