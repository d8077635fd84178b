"""One request over a real socket, from its intended moment to a Row.

Open loop: latency counts from the moment at which the request was meant to leave, so a client that falls behind shows in
the figures instead of hiding the wait (coordinated omission). Streams are read cheaply: the first content, the number of
content events, and the end, where usage and errors stand; nothing in between is parsed.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from gateway.domain.catalog import Tariff
from load.arrivals import Arrival
from load.prompts import Prompt
from load.result import NOT_RUNNING, SERVED, Row

KEEPALIVE_S = 15.0
"""Shorter than the gateway's own patience, so that no request meets a connection that is just being closed."""
PATIENCE_S = 900.0
"""Scenario seconds without a byte; longer than any clock of the gateway."""
TAIL_BYTES = 4096
CONTENT = b'"content":"'
_FIRST_CONTENT = re.compile(rb'"content":\s?"[^"]')


class Pace:
    """Scenario seconds since the start: real seconds times `speed`."""

    def __init__(self, speed: float, started_s: float) -> None:
        """`started_s`: time of the running event loop."""
        self.speed, self.started_s = speed, started_s

    def now_s(self) -> float:
        """Scenario seconds."""
        return (asyncio.get_running_loop().time() - self.started_s) * self.speed

    async def until(self, at_s: float) -> None:
        """Wait for a moment of the scenario; at once when it has passed."""
        await asyncio.sleep(max(0.0, (at_s - self.now_s()) / self.speed))


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent, and when."""

    arrival: Arrival
    klass: str
    prompt: Prompt
    is_streamed: bool


class Client:
    """Sends requests to one gateway. Use as an async context manager."""

    def __init__(
        self,
        url: str,
        route: str,
        tariffs: Mapping[str, Tariff],
        pace: Pace,
        key: Callable[[str], str | None],
        is_running: Callable[[], bool] = lambda: True,
    ) -> None:
        """Build a client.

        Args:
            url: address of the gateway, with or without /v1.
            key: API key of a class's traffic; None sends none.
            is_running: False while the harness itself has the gateway stopped.
        """
        base = url.rstrip("/")
        self._url = (base if base.endswith("/v1") else base + "/v1") + "/chat/completions"
        self._route, self._tariffs, self._pace, self._key, self._is_running = route, tariffs, pace, key, is_running
        self.send_lags_s: list[float] = []
        """Scenario seconds by which requests left late: how well the harness itself kept up."""

    async def __aenter__(self) -> "Client":
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE_S / self._pace.speed, sock_read=PATIENCE_S / self._pace.speed)
        keepalive_s = min(KEEPALIVE_S, 2 * KEEPALIVE_S / self._pace.speed)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=keepalive_s)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Row:
        """Send one request now and see it through to its end, whatever that is."""
        at_s = request.arrival.at_s
        row = Row(at_s, request.klass, None, "", None, 0.0, attempts=0)
        body, headers = self._body(request), {"Content-Type": "application/json"}
        key = self._key(request.klass)
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self.send_lags_s.append(self._pace.now_s() - at_s)
        was_running = self._is_running()
        try:
            async with self._session.post(self._url, data=body, headers=headers) as response:
                row.model = response.headers.get("x-sluice-model")
                row.attempts = int(response.headers.get("x-sluice-attempts", "1"))
                if response.status == 200 and request.is_streamed:
                    await self._read_stream(response, row, request)
                else:
                    self._read_whole(await response.read(), response.status, row)
        except (aiohttp.ClientError, OSError, TimeoutError):
            row.reason = "connection" if was_running and self._is_running() else NOT_RUNNING
        row.total_s = self._pace.now_s() - at_s
        if row.reason != SERVED and row.usd == 0.0:
            row.model = None
        return row

    def _body(self, request: Request) -> bytes:
        asked: dict[str, Any] = {
            "model": self._route,
            "messages": request.prompt.messages,
            "sim_prompt_tokens": request.arrival.input_tokens,
            "sim_output_tokens": request.arrival.output_tokens,
        }
        if request.is_streamed:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return msgspec.json.encode(asked)

    async def _read_stream(self, response: aiohttp.ClientResponse, row: Row, request: Request) -> None:
        tail, tokens = b"", 0
        try:
            async for chunk in response.content.iter_any():
                tokens += chunk.count(CONTENT)
                if row.ttft_s is None and _FIRST_CONTENT.search(tail + chunk):
                    row.ttft_s = self._pace.now_s() - row.at_s
                tail = (tail + chunk)[-TAIL_BYTES:]
        except (aiohttp.ClientError, OSError, TimeoutError):
            # What has come so far has been paid for; no usage says how much, so events are counted.
            self._pay(row, request.arrival.input_tokens, max(0, tokens - 1))
            raise
        if b"data: [DONE]" in tail:
            row.reason = SERVED
            usage = usage_in(tail)
            self._pay(row, *(usage or (request.arrival.input_tokens, max(0, tokens - 1), 0)))
        else:
            row.reason = code_in(tail) or "cut"
            if row.ttft_s is not None:
                self._pay(row, request.arrival.input_tokens, max(0, tokens - 1))

    def _read_whole(self, body: bytes, status: int, row: Row) -> None:
        if status == 200:
            row.reason = SERVED
            self._pay(row, *(usage_in(body) or (0, 0, 0)))
        else:
            row.reason = code_in(body) or f"http_{status}"

    def _pay(self, row: Row, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> None:
        row.prompt_tokens, row.completion_tokens = prompt_tokens, completion_tokens
        tariff = self._tariffs.get(row.model or "")
        if tariff is not None:
            row.usd = tariff.usd(prompt_tokens, completion_tokens, cached_tokens)


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _Cached | None = None


class _Used(msgspec.Struct):
    usage: _Usage | None = None


class _Error(msgspec.Struct):
    code: int | str | None = None
    type: str | None = None


class _Failed(msgspec.Struct):
    error: _Error


_decode_used, _decode_failed = msgspec.json.Decoder(_Used).decode, msgspec.json.Decoder(_Failed).decode


def usage_in(data: bytes) -> tuple[int, int, int] | None:
    """Return (prompt, completion, cached) tokens of a whole answer or of the end of a stream; None when it tells none."""
    for line in reversed(data.split(b"\n")):
        if b'"usage"' in line:
            try:
                usage = _decode_used(line.removeprefix(b"data: ")).usage
            except msgspec.DecodeError:
                continue
            if usage is not None:
                cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None
                return usage.prompt_tokens, usage.completion_tokens, cached or 0
    return None


def code_in(data: bytes) -> str | None:
    """Return the code of an error object, or its type; None when there is none."""
    for line in reversed(data.split(b"\n")):
        if b'"error"' in line:
            try:
                error = _decode_failed(line.removeprefix(b"data: ")).error
            except msgspec.DecodeError:
                continue
            return str(error.code if error.code is not None else error.type)
    return None
