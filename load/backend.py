"""A simulated LLM server: OpenAI's endpoints over HTTP, an engine model behind them, and a switch for faults.

    python -m load.backend --port 9001 --model strong --preset h100 --speed 1

Real: HTTP, SSE, queueing, batching and prefill times, usage, metrics in vLLM's names, cancellation when a client leaves.
Made up: the words. Every answer carries `x-sim: true`. `/sim/state` tells counters, `/sim/last` the last request as it came
and what was sent back, POST /sim/fault {"kind": ..., "size": ..., "seed": ...} breaks it and DELETE repairs it (load/faults.py).
No key is asked for; it listens on the loopback unless told otherwise.
"""

import argparse
import asyncio
import base64
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web
from multidict import CIMultiDict

from load.answer import OUTPUT_TOKENS_MEAN, OUTPUT_TOKENS_SIGMA, compose
from load.ask import Ask, BadRequest, Endpoint, read_ask
from load.call import Call, Ending, Limit, Pipe
from load.engine import H100, PRESETS, EngineModel
from load.exposition import CONTENT_TYPE, Meters
from load.faults import Fault, FaultError, FaultKind
from load.frames import Spent, embeddings, error_body, error_frame, models_body, whole
from load.pacer import Pacer

BODY_BYTES_MAX = 64 * 2**20
KEEPALIVE_S = 75.0
_SIM = {"x-sim": "true"}
_PATHS = {"/v1/chat/completions": Endpoint.CHAT, "/v1/completions": Endpoint.COMPLETION, "/v1/embeddings": Endpoint.EMBEDDING}
_PREFIX = {Endpoint.CHAT: "chatcmpl-", Endpoint.COMPLETION: "cmpl-", Endpoint.EMBEDDING: "embd-"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Exchange:
    """One request as it came and the body that went back, for tests of fidelity."""

    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    """In order and case as received."""
    body: bytes
    answer: list[bytes] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Bodies as text and, exactly, in base64."""
        answer = b"".join(self.answer)
        return {
            "path": self.path,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers],
            "body": self.body.decode(errors="replace"),
            "body_base64": base64.b64encode(self.body).decode(),
            "answer": answer.decode(errors="replace"),
            "answer_base64": base64.b64encode(answer).decode(),
        }


@dataclass(slots=True)
class Counters:
    """Requests to the /v1 endpoints that ask for work, by how they ended; tokens that were really read and made."""

    received: int = 0
    finished: int = 0
    cancelled: int = 0
    """The client left, or the fault of the moment cut it off."""
    refused: int = 0
    """Answered with an error."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Backend:
    """One model on one engine, as a set of HTTP handlers."""

    def __init__(
        self,
        model: str,
        engine: EngineModel,
        speed: float,
        clock: Callable[[], float],
        name: str,
        output_tokens_mean: float,
        output_tokens_sigma: float,
    ) -> None:
        self.model, self.name = model, name
        self.fault: Fault | None = None
        self.last: Exchange | None = None
        self.counters, self.pacer, self._meters = Counters(), Pacer(engine, clock, speed), Meters()
        self._lengths = (output_tokens_mean, output_tokens_sigma)
        self._draws, self._created, self._calls = random.Random(0), int(time.time()), set[asyncio.Transport]()

    def set_fault(self, fault: Fault | None) -> None:
        """Break it in one way, or repair it; a stream that is stalled stays so."""
        self.fault = fault
        self._draws = random.Random(fault.seed if fault else 0)
        self.pacer.slow_down(fault.slow if fault else 1.0)
        if fault is not None and fault.kills_in_flight:
            for transport in list(self._calls):
                transport.abort()

    def state(self) -> dict[str, Any]:
        """Counters and load at this moment."""
        self.pacer.settle()
        engine, c = self.pacer.engine, self.counters
        return {
            "name": self.name,
            "model": self.model,
            "speed": self.pacer.speed,
            "received": c.received,
            "finished": c.finished,
            "cancelled": c.cancelled,
            "refused": c.refused,
            "prompt_tokens": c.prompt_tokens,
            "completion_tokens": c.completion_tokens,
            "cached_tokens": c.cached_tokens,
            "running": engine.running,
            "waiting": engine.waiting,
            "pending_prompt_tokens": engine.pending_prompt_tokens,
            "kv_usage": engine.kv_usage,
            "fault": self.fault.body() if self.fault else None,
        }

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(middlewares=[self._outage], client_max_size=BODY_BYTES_MAX)
        for path in _PATHS:
            app.router.add_post(path, self._work)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/sim/state", self._get_state)
        app.router.add_get("/sim/last", self._get_last)
        app.router.add_post("/sim/fault", self._post_fault)
        app.router.add_delete("/sim/fault", self._delete_fault)
        return app

    @web.middleware
    async def _outage(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Faults that take the whole server away, its switch excepted."""
        fault = self.fault
        if fault is None or request.path.startswith("/sim/"):
            return await handler(request)
        if request.path in _PATHS and fault.kind in (FaultKind.DOWN, FaultKind.REFUSE, FaultKind.SILENT):
            self.counters.received += 1
            self.counters.refused += 1
        match fault.kind:
            case FaultKind.DOWN:
                return _error("The server is down (simulated).", "server_error", 503)
            case FaultKind.REFUSE:
                _transport(request).abort()
                return web.Response()
            case FaultKind.SILENT:
                await asyncio.get_running_loop().create_future()
        return await handler(request)

    async def _work(self, request: web.Request) -> web.StreamResponse:
        """Answer a request that asks for tokens or vectors."""
        body = await request.read()
        self.last = exchange = Exchange(request.path_qs, request.raw_headers, body)
        self.counters.received += 1
        fault, endpoint = self.fault, _PATHS[request.path]
        status = fault.status(self._draws.random()) if fault else None
        try:
            if fault is not None and status is not None:
                raise _failed(fault, status)
            ask = read_ask(endpoint, body, request.headers)
            if ask.model != self.model:
                raise BadRequest(f"The model `{ask.model}` does not exist.", "model", "model_not_found", 404)
            if fault is not None and fault.kind is FaultKind.ERROR_FIRST_FRAME:
                return await self._broken_stream(request, ask, exchange)
            return await self._answer(request, ask, fault, exchange)
        except BadRequest as wrong:
            self.counters.refused += 1
            kind = "invalid_request_error" if wrong.status in (400, 404) else "server_error"
            headers = {"Retry-After": f"{fault.size:g}"} if wrong.status == 429 and fault is not None else {}
            refusal = _error(wrong.message, kind, wrong.status, wrong.param, wrong.code, headers)
            exchange.answer.append(refusal.body if isinstance(refusal.body, bytes) else b"")
            return refusal

    async def _answer(self, request: web.Request, ask: Ask, fault: Fault | None, exchange: Exchange) -> web.StreamResponse:
        tokens_max = fault.tokens_max if fault else None
        limit = None if fault is None or tokens_max is None else Limit(max(1, tokens_max), fault.kind is FaultKind.CUT)
        answers = (
            [] if ask.endpoint is Endpoint.EMBEDDING else [compose(ask, t, i, *self._lengths) for t in ask.texts for i in range(ask.n)]
        )
        name = f"{_PREFIX[ask.endpoint]}sim{self.counters.received:012d}"
        response = await self._open(request) if ask.is_streamed else None
        transport = _transport(request)
        pipe = None if response is None else Pipe(transport, response.chunked, exchange.answer)
        call = Call(ask, name, int(time.time()), self._meters, pipe, limit)
        for number, text in enumerate(ask.texts):
            blocks = text.blocks() if self.pacer.engine.model.cache_blocks else ()
            if ask.endpoint is Endpoint.EMBEDDING:
                call.add_read_only(text.tokens, blocks)
            for index, answer in enumerate(answers[number * ask.n : (number + 1) * ask.n]):
                call.add(answer, text.tokens, index == 0, blocks)
        self._calls.add(transport)
        try:
            self.pacer.submit(call.choices)
            ending = await call.over
        finally:
            self._calls.discard(transport)
            self.pacer.cancel(call.choices)
            spent = self._account(call)
        if ending is Ending.CUT:
            return await self._cut(request, response)
        if response is not None:
            await response.write_eof()
            return response
        body = embeddings(ask, spent) if ask.endpoint is Endpoint.EMBEDDING else whole(ask, name, call.created, answers, spent)
        exchange.answer.append(body)
        return web.Response(body=body, content_type="application/json", headers=_SIM)

    def _account(self, call: Call) -> Spent:
        """Book what a call used, however it ended."""
        spent, c = call.spent(), self.counters
        c.prompt_tokens += spent.prompt_tokens
        c.completion_tokens += spent.completion_tokens
        c.cached_tokens += spent.cached_tokens
        self._meters.prompt_tokens += spent.prompt_tokens
        if call.over.done() and not call.over.cancelled() and call.over.result() is Ending.WHOLE:
            c.finished += 1
        else:
            c.cancelled += 1
            self._meters.finished["abort"] += sum(choice.done_s is None for choice in call.choices)
        return spent

    async def _open(self, request: web.Request) -> web.StreamResponse:
        headers = CIMultiDict(_SIM, **{"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"})
        response = web.StreamResponse(headers=headers)
        if request.version >= HttpVersion11:
            response.enable_chunked_encoding()
        await response.prepare(request)
        return response

    async def _broken_stream(self, request: web.Request, ask: Ask, exchange: Exchange) -> web.StreamResponse:
        self.counters.refused += 1
        if not ask.is_streamed:
            return _error("The model failed (simulated).", "server_error", 500)
        response = await self._open(request)
        exchange.answer.append(error_frame("The model failed (simulated)."))
        await response.write(exchange.answer[0])
        await response.write_eof()
        return response

    async def _cut(self, request: web.Request, response: web.StreamResponse | None) -> web.StreamResponse:
        """Close the connection before the body's announced end."""
        if response is None:
            response = web.StreamResponse(headers=CIMultiDict(_SIM, **{"Content-Type": "application/json", "Content-Length": "1000"}))
            await response.prepare(request)
            await response.write(b'{"id":"chatcmpl-')
        _transport(request).close()
        return response

    async def _models(self, request: web.Request) -> web.Response:
        return web.Response(body=models_body(self.model, self._created), content_type="application/json", headers=_SIM)

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(headers=_SIM)

    async def _metrics(self, request: web.Request) -> web.Response:
        self.pacer.settle()
        text = self._meters.render(self.pacer.engine, self.model)
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE, **_SIM})

    async def _get_state(self, request: web.Request) -> web.Response:
        return _json(self.state())

    async def _get_last(self, request: web.Request) -> web.Response:
        return _json(self.last.as_json() if self.last else None)

    async def _post_fault(self, request: web.Request) -> web.Response:
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, Any])
            self.set_fault(Fault.read(body))
        except (FaultError, msgspec.DecodeError) as wrong:
            return _error(str(wrong), "invalid_request_error", 400)
        return _json(self.state())

    async def _delete_fault(self, request: web.Request) -> web.Response:
        self.set_fault(None)
        return _json(self.state())


@dataclass(slots=True)
class RunningBackend:
    """A backend that listens."""

    backend: Backend
    host: str
    port: int
    _runner: web.AppRunner

    @property
    def url(self) -> str:
        """Address without a path, for /health, /metrics and /sim."""
        return f"http://{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """Address of the OpenAI endpoints."""
        return f"{self.url}/v1"

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self.backend.pacer.stop()
        await self._runner.cleanup()


async def start(
    host: str = "127.0.0.1",
    port: int = 0,
    model: str = "strong",
    engine: EngineModel = H100,
    speed: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
    name: str = "",
    output_tokens_mean: float = OUTPUT_TOKENS_MEAN,
    output_tokens_sigma: float = OUTPUT_TOKENS_SIGMA,
) -> RunningBackend:
    """Start a backend in this event loop.

    Args:
        port: 0 lets the system choose.
        speed: every duration of the engine is divided by it.
        clock: monotonic real seconds.
    Raises: OSError when the port is taken.
    """
    backend = Backend(model, engine, speed, clock, name or model, output_tokens_mean, output_tokens_sigma)
    runner = web.AppRunner(
        backend.app(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=0.05,
        keepalive_timeout=KEEPALIVE_S,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return RunningBackend(backend, host, int(runner.addresses[0][1]), runner)


def _failed(fault: Fault, status: int) -> BadRequest:
    code = "rate_limit_exceeded" if status == 429 else None
    return BadRequest(f"The request failed with {status} (simulated fault: {fault.kind}).", None, code, status)


def _transport(request: web.Request) -> asyncio.Transport:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    return transport


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json", headers=_SIM)


def _error(
    message: str, kind: str, status: int, param: str | None = None, code: str | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    body = error_body(message, kind, param, code)
    return web.Response(body=body, status=status, content_type="application/json", headers={**_SIM, **(headers or {})})


async def _serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, SIGINT or, guarded, until standard input closes."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = await start(
        options.host,
        options.port,
        options.model,
        PRESETS[options.preset],
        options.speed,
        name=options.name,
        output_tokens_mean=options.output_tokens_mean,
    )
    if options.guard:
        threading.Thread(target=_watch_parent, args=(loop, stop), daemon=True).start()
    print(f"listening on {running.url} as {options.model} ({options.preset}, simulated)", flush=True)
    await stop.wait()
    await running.close()


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait for the end of standard input: whoever held the other end of the pipe is gone, however it died."""
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(stop.set)


def main(arguments: list[str] | None = None) -> int:
    """Run a backend from the command line; 2 when it cannot listen."""
    parser = argparse.ArgumentParser(prog="python -m load.backend", description="A simulated LLM server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (default) lets the system choose; the first line printed names it")
    parser.add_argument("--model", default="strong", help="name of the model that it serves")
    parser.add_argument("--preset", choices=PRESETS, default="h100", help="engine behind it")
    parser.add_argument("--speed", type=float, default=1.0, help="divides every duration of the engine")
    parser.add_argument("--name", default="", help="name shown in /sim/state")
    parser.add_argument("--output-tokens-mean", type=float, default=OUTPUT_TOKENS_MEAN, help="mean answer length where nobody dictates it")
    parser.add_argument("--guard", action="store_true", help="exit when standard input closes, so that no parent leaves an orphan")
    options = parser.parse_args(arguments)
    try:
        import uvloop
    except ImportError:
        make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    else:
        make_loop = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(_serve(options))
    except OSError as trouble:
        print(f"cannot listen on {options.host}:{options.port}: {trouble.strerror or trouble}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
