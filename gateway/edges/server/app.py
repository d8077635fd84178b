"""The data port: which path goes where, how many at once, and how it is closed.

aiohttp's low-level server, without routes, middlewares, access log or response objects: an application of the usual kind costs
twice as much CPU per request. One dictionary look-up finds the handler.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import msgspec
from aiohttp.web import BaseRequest, StreamResponse

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.edges.server import chat, health
from gateway.edges.server.chat import Caller, Running, Story, caller_of, client_request_id, facts_of
from gateway.edges.server.feedback import Asked, Feedback
from gateway.edges.server.limits import Connection, Server
from gateway.edges.server.names import card, listed
from gateway.edges.server.options import ServerOptions
from gateway.edges.server.reply import Reply
from gateway.edges.server.stream import HttpStream, Sent
from gateway.edges.server.usual import Head, Usual
from gateway.ports import Chance, ClientGone, Clock, Outbox, Store
from gateway.wire.refusal import refusal
from gateway.wire.request import Decoded, decode

LOG = logging.getLogger("sluice.server")
BACKLOG = 1024
CUT_S = 1.0
"""Real seconds that cut requests have to say goodbye."""
STARTING_RETRY_S = 1.0
JSON = ("content-type", "application/json")
ENDPOINTS = {
    "/v1/chat/completions": Endpoint.CHAT,
    "/v1/completions": Endpoint.COMPLETIONS,
    "/v1/embeddings": Endpoint.EMBEDDINGS,
}
MODELS = "/v1/models"
Handler = Callable[[BaseRequest, HttpStream, str], Awaitable[None]]


class DataPort:
    """Everything that clients reach."""

    def __init__(
        self, options: ServerOptions, clock: Clock, chance: Chance, story: Story, current: Callable[[], Running | None], outbox: Outbox
    ) -> None:
        """Build the port; `start` opens it.

        Args:
            options: limits; assign `options` anew to change them (idle connections keep their idle time).
            story: answers requests.
            current: returns the runtime in force, None before the first.
            outbox: takes what is sent to clients in small pieces.
        """
        self.options, self._clock, self._chance, self._story, self._current = options, clock, chance, story, current
        self._outbox = outbox
        self.feedback = Feedback(self._asked)
        self.is_draining = False
        self.store_is_away: Callable[[], bool] = lambda: False
        """Asked by readiness, which tells it and stays green."""
        self._in_flight: dict[asyncio.Task[Any], None] = {}
        self._arrived: list[tuple[Reply, Head, bytes, float]] = []
        """Usual calls of this turn of the loop, and when each was read."""
        self._empty: asyncio.Future[None] | None = None
        self._listeners: list[asyncio.Server] = []
        self._server: Server | None = None
        self._loop = asyncio.get_running_loop()
        self.usual_paths = frozenset(ENDPOINTS)
        self._handlers: dict[str, dict[str, Handler]] = {
            **{path: {"POST": self._call} for path in ENDPOINTS},
            "/v1/feedback": {"POST": self._feedback},
            MODELS: {"GET": self._models},
            "/health": {"GET": self._health},
            "/health/liveness": {"GET": self._health},
            "/health/liveliness": {"GET": self._health},
            "/health/readiness": {"GET": self._health},
        }

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self, host: str, port: int, reuse_port: bool = False) -> int:
        """Listen; return the port, which the system chooses for 0.

        Raises: OSError when the address cannot be had.
        """
        server = self._make_server()
        listener = await asyncio.get_running_loop().create_server(server, host, port, backlog=BACKLOG, reuse_port=reuse_port or None)
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def serve(self, listening: socket.socket) -> None:
        """Listen on a socket that somebody else has bound."""
        self._listeners.append(await asyncio.get_running_loop().create_server(self._make_server(), sock=listening, backlog=BACKLOG))

    async def drain(self, grace_s: float) -> int:
        """Stop: readiness turns red, nobody new is accepted, streams finish within the grace, the rest is cut.

        Returns: the number of requests that were cut.
        """
        self.is_draining = True
        for listener in self._listeners:
            listener.close()
        if self._server is None:
            return 0
        self._server.pre_shutdown()
        self._begin()
        await self._emptied(self._clock.real_s(grace_s))
        cut = list(self._in_flight)
        for task in cut:
            task.cancel()
        await self._emptied(CUT_S)
        self._server.stop_looking()
        await self._server.shutdown(0)
        self._listeners.clear()
        return len(cut)

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._in_flight)

    @property
    def is_store_away(self) -> bool:
        """True while budgets cannot be read or written."""
        return self.store_is_away()

    @property
    def generation(self) -> int | None:
        """Number of the configuration in force; None before the first."""
        running = self._current()
        return None if running is None else running.generation

    def turned_away(self, reason: Reason) -> None:
        """Count a request that was refused before it was one."""
        running = self._current()
        if running is not None:
            self._story.turned_away(running, reason)

    def _make_server(self) -> Server:
        if self._server is None:
            clock = self._clock
            idle_s = clock.real_s(self.options.idle)
            self._server = Server(self._handle, self, lambda: clock.real_s(self.options.read_timeout), idle_s)
        return self._server

    async def _emptied(self, timeout_s: float) -> None:
        if not self._in_flight:
            return
        self._empty = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty
        except TimeoutError:
            pass
        finally:
            self._empty = None

    # -- one request -----------------------------------------------------------------------------------------------

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        connection = cast(Connection, request.protocol)
        client = HttpStream(request, self._clock, self.options.write_timeout, not self.is_draining)
        task = asyncio.current_task()
        assert task is not None
        self._in_flight[task] = None
        try:
            error = connection.begin(request)
            if error is not None:
                await self._refuse(client, error)
            else:
                await self._dispatch(request, client)
        except ClientGone:
            client.keep_alive = False
        finally:
            self._left(task)
        # An answer without its end must not be followed by another on the same connection.
        return cast(StreamResponse, Sent(client.keep_alive and client.is_whole))

    def _left(self, task: asyncio.Task[Any]) -> None:
        del self._in_flight[task]
        if self._empty is not None and not self._in_flight and not self._empty.done():
            self._empty.set_result(None)

    async def _dispatch(self, request: BaseRequest, client: HttpStream) -> None:
        path, _, query = request.raw_path.partition("?")
        methods = self._handlers.get(path)
        if methods is None:
            if not path.startswith(MODELS + "/"):
                await self._refuse(client, GatewayError(Reason.UNKNOWN_PATH, f"there is nothing at {path[:200]!r}"))
                return
            methods = {"GET": self._model}
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            error = GatewayError(Reason.WRONG_METHOD, f"{path[:200]} takes {' and '.join(methods)}, not {request.method[:20]}")
            await self._refuse(client, error, [("Allow", ", ".join(methods))])
            return
        await handler(request, client, query)

    def answer_usual(self, connection: Connection, call: Usual, body: bytes) -> Reply:
        """Begin to answer a call that did not need aiohttp; those of one turn of the loop begin together."""
        reply = Reply(connection, self._outbox, self._clock, self.options.write_timeout, not self.is_draining)
        if not self._arrived:
            self._loop.call_soon(self._begin)
        self._arrived.append((reply, call.head, body, self._clock.now_s()))
        return reply

    def _begin(self) -> None:
        """Read the calls that have arrived, score their prompts together, and answer each in a task of its own."""
        arrived, self._arrived = self._arrived, []
        story = self._story
        replies: list[tuple[Reply, Head, Caller]] = []
        asked: list[tuple[RequestFacts, Decoded]] = []
        for reply, head, body, arrived_s in arrived:
            if reply.is_left:
                continue
            try:
                running = self._admitted(len(asked) + 1)
            except GatewayError as error:
                self._spawn(reply, partial(self._refuse, reply, error))
                continue
            request_id = self._chance.request_id()
            try:
                caller = head.caller
                if caller is None or caller.generation != running.generation:
                    caller = head.caller = caller_of(head.headers, running)
                decoded = decode(ENDPOINTS[head.path], body)
                facts = facts_of(decoded, caller, running, request_id, arrived_s, self._chance, self._clock.wall_s())
            except GatewayError as error:
                self._spawn(reply, partial(story.refuse, running, error, request_id, reply, client_request_id(head.headers)))
            except Exception as bug:
                self._spawn(reply, partial(failed, bug))
            else:
                replies.append((reply, head, caller))
                asked.append((facts, decoded))
        if not asked:
            return
        try:
            scored = story.scored(running, asked)
        except Exception as bug:
            for reply, _, _ in replies:
                self._spawn(reply, partial(failed, bug))
            return
        for (reply, head, caller), (facts, decoded), qualities in zip(replies, asked, scored, strict=True):
            theirs, is_debugged = caller.client_request_id, caller.is_debugged
            self._spawn(
                reply, partial(story.answer, running, facts, decoded, qualities, head.fields, reply, head.query, theirs, is_debugged)
            )

    def _spawn(self, reply: Reply, answering: Callable[[], Awaitable[None]]) -> None:
        reply.task = self._loop.create_task(self._answer_usual(reply, answering))
        self._in_flight[reply.task] = None

    async def _answer_usual(self, reply: Reply, answering: Callable[[], Awaitable[None]]) -> None:
        task = reply.task
        assert task is not None
        try:
            if reply.begin():
                await answering()
        except ClientGone:
            pass
        except Exception:
            LOG.exception("unhandled error")
            reply.keep_alive = False
            if reply.status is None:
                await self._refuse(reply, GatewayError(Reason.INTERNAL, "internal error"))
        finally:
            self._left(task)
            reply.end()

    async def _call(self, request: BaseRequest, client: HttpStream, query: str) -> None:
        try:
            running = self._admitted(0)
        except GatewayError as error:
            await self._refuse(client, error)
            return
        endpoint = ENDPOINTS[request.raw_path.partition("?")[0]]
        await chat.answer(request, endpoint, query, client, running, self._story, self.options, self._clock, self._chance)

    def _admitted(self, more: int) -> Running:
        """Return the configuration in force for a call, with `more` that are not in flight yet.

        Raises: GatewayError where no call is let in now.
        """
        running = self._current()
        if running is None:
            raise GatewayError(Reason.NO_BACKEND, "the gateway is starting", retry_after_s=STARTING_RETRY_S)
        if self.is_draining:
            raise GatewayError(Reason.SHUTTING_DOWN, "the gateway is shutting down", retry_after_s=STARTING_RETRY_S)
        streams_max = self.options.streams_max
        if len(self._in_flight) + more > streams_max:
            message = f"{streams_max} requests are under way already"
            raise GatewayError(Reason.LIMIT_STREAMS, message, retry_after_s=1.0 + self._chance.uniform())
        return running

    async def _models(self, request: BaseRequest, client: HttpStream, _query: str) -> None:
        try:
            running, tenant = self._known(request)
        except GatewayError as error:
            await self._refuse(client, error)
            return
        cards = [card(name, running.catalog) for name in listed(running.catalog, tenant)]
        await self._send(client, 200, msgspec.json.encode({"object": "list", "data": cards}))

    async def _model(self, request: BaseRequest, client: HttpStream, _query: str) -> None:
        name = request.path[len(MODELS) + 1 :]
        try:
            running, tenant = self._known(request)
            if name not in listed(running.catalog, tenant):
                names = ", ".join(listed(running.catalog, tenant))
                raise GatewayError(Reason.UNKNOWN_MODEL, f"the model {name[:80]!r} does not exist; use one of {names}", "model")
        except GatewayError as error:
            await self._refuse(client, error)
            return
        await self._send(client, 200, msgspec.json.encode(card(name, running.catalog)))

    async def _feedback(self, request: BaseRequest, client: HttpStream, _query: str) -> None:
        try:
            _, tenant = self._known(request)
            body = await chat.read_body(request, self.options, self._clock)
            counts = self.feedback.take(body, tenant.name, self._clock.wall_s())
        except GatewayError as error:
            await self._refuse(client, error)
            return
        await self._send(client, 202, b'{"status":"accepted","counts":true}' if counts else b'{"status":"accepted","counts":false}')

    def _asked(self, request_id: str, tenant: str) -> Asked | None:
        """Return the request of this tenant that an id was made for, if verdicts on its route's answers count."""
        running = self._current()
        if running is None:
            return None
        for name in (*running.catalog.routes, *running.catalog.models):
            if running.dispatcher.promise(name).awaits_verdicts:
                wall_s = self._chance.opened(request_id, tenant, name)
                if wall_s is not None:
                    return Asked(name, wall_s)
        return None

    async def flush_feedback(self, store: Store) -> None:
        """Write verdicts to the store, and count those that are the first on their request. Raises: StoreAway."""
        await self.feedback.flush(store, self._judged)

    def _judged(self, route: str, is_good: bool, weight: float, wall_s: float) -> None:
        running = self._current()
        if running is not None:
            self._story.judged(running, route, is_good, weight, wall_s)

    async def _health(self, request: BaseRequest, client: HttpStream, _query: str) -> None:
        is_liveness = request.raw_path.startswith("/health/live")
        status, body = health.liveness(self) if is_liveness else health.readiness(self)
        await self._send(client, status, body)

    def _known(self, request: BaseRequest) -> tuple[Running, Any]:
        running = self._current()
        if running is None:
            raise GatewayError(Reason.NO_BACKEND, "the gateway is starting", retry_after_s=STARTING_RETRY_S)
        return running, chat.tenant_of(request.headers, running.directory)

    async def _send(self, client: HttpStream | Reply, status: int, body: bytes, headers: list[tuple[str, str]] | None = None) -> None:
        await client.start(status, headers or [JSON], len(body))
        await client.write(body)
        await client.finish()

    async def _refuse(self, client: HttpStream | Reply, error: GatewayError, more: list[tuple[str, str]] | None = None) -> None:
        """Refuse where no request of the story's kind exists."""
        self.turned_away(error.reason)
        said = refusal(error)
        closing = [("connection", "close")] if said.must_close else []
        headers = [*said.headers, *(more or []), ("x-request-id", self._chance.request_id()), *closing]
        await self._send(client, said.status, said.body, headers)


async def failed(bug: Exception) -> None:
    """Answer a call that could not be read or scored for a fault of ours, as one that failed on its way."""
    raise bug
