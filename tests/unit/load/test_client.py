"""The client against a small real server: what comes back becomes the right row, and time counts from the intended moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from gateway.domain.catalog import Tariff
from load.arrivals import Arrival
from load.client import Client, Pace, Request, code_in, usage_in
from load.prompts import Prompt, Question
from load.result import NOT_RUNNING, SERVED, Row

TARIFFS = {"strong": Tariff(2.0, 10.0, 0.5)}
USAGE = b'"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110,"prompt_tokens_details":{"cached_tokens":40}}'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
TOKEN = b'data: {"choices":[{"delta":{"content":" hi"}}]}\n\n'
HEADERS = {"x-sluice-model": "strong", "x-sluice-attempts": "2"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ask = Callable[..., Awaitable[Row]]


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Start a server with a handler and send it one request."""
    runners: list[web.AppRunner] = []

    async def send(handler: Handler, is_streamed: bool = True, at_s: float = 0.0, speed: float = 1.0, is_running: bool = True) -> Row:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        pace = Pace(speed, asyncio.get_running_loop().time())
        async with Client(url, "auto", TARIFFS, pace, "key-{}".format, lambda: is_running) as client:
            prompt = Prompt(Question("Why?"), ({"role": "user", "content": "Why?"},), 1)
            return await client.ask(Request(Arrival(at_s, 100, 10), "batch", prompt, is_streamed))

    yield send
    for runner in runners:
        await runner.cleanup()


def streaming(*parts: bytes, end: bool = True, pause_s: float = 0.0) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        for part in parts:
            await asyncio.sleep(pause_s)
            await response.write(part)
        if end:
            await response.write_eof()
        else:
            await asyncio.sleep(0.02)
            assert request.transport is not None
            request.transport.abort()
        return response

    return handle


async def test_a_served_stream_is_paid_by_its_usage(ask: Ask) -> None:
    row = await ask(streaming(ROLE, TOKEN * 3, b'data: {"choices":[],' + USAGE + b"}\n\n", b"data: [DONE]\n\n", pause_s=0.01))
    assert (row.reason, row.model, row.attempts, row.klass) == (SERVED, "strong", 2, "batch")
    assert (row.prompt_tokens, row.completion_tokens) == (100, 10)
    assert row.usd == pytest.approx((60 * 2.0 + 40 * 0.5 + 10 * 10.0) / 1e6)
    assert row.ttft_s is not None
    assert 0.02 <= row.ttft_s < row.total_s


async def test_the_empty_role_delta_is_no_first_token(ask: Ask) -> None:
    row = await ask(streaming(ROLE, b"data: [DONE]\n\n"))
    assert (row.reason, row.ttft_s) == (SERVED, None)


async def test_a_content_cut_across_two_reads_is_found(ask: Ask) -> None:
    cut = TOKEN.index(b'"content":"') + 5
    row = await ask(streaming(ROLE, TOKEN[:cut], TOKEN[cut:], b"data: [DONE]\n\n", pause_s=0.02))
    assert row.ttft_s is not None


async def test_an_error_event_after_content_gives_its_code_and_what_was_used_is_paid(ask: Ask) -> None:
    row = await ask(
        streaming(ROLE, TOKEN * 4, b'data: {"error":{"message":"m","type":"server_error","param":null,"code":"upstream_cut"}}\n\n')
    )
    assert (row.reason, row.completion_tokens) == ("upstream_cut", 4)
    assert row.usd == pytest.approx((100 * 2.0 + 4 * 10.0) / 1e6)


async def test_a_connection_that_breaks_is_said_so(ask: Ask) -> None:
    row = await ask(streaming(ROLE, TOKEN * 4, end=False))
    assert (row.reason, row.completion_tokens, row.model) == ("connection", 4, "strong")


async def test_what_breaks_while_the_harness_stops_the_gateway_is_counted_apart(ask: Ask) -> None:
    assert (await ask(streaming(ROLE, end=False), is_running=False)).reason == NOT_RUNNING


async def test_a_whole_answer_has_usage_but_no_first_token(ask: Ask) -> None:
    async def handle(request: web.Request) -> web.Response:
        asked = await request.json()
        assert (asked["model"], asked["sim_prompt_tokens"], asked["sim_output_tokens"]) == ("auto", 100, 10)
        assert "stream" not in asked
        assert request.headers["Authorization"] == "Bearer key-batch"
        return web.Response(body=b'{"choices":[],' + USAGE + b"}", headers=HEADERS)

    row = await ask(handle, is_streamed=False)
    assert (row.reason, row.ttft_s, row.completion_tokens) == (SERVED, None, 10)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b'{"error":{"message":"m","type":"overloaded_error","param":null,"code":"shed_deadline"}}', "shed_deadline"),
        (429, b'{"error":{"message":"m","type":"rate_limit_error","param":null,"code":null}}', "rate_limit_error"),
        (502, b"<html>", "http_502"),
    ],
)
async def test_refusals_are_named_by_their_code(ask: Ask, status: int, body: bytes, reason: str) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    row = await ask(handle)
    assert (row.reason, row.usd, row.model) == (reason, 0.0, None)


async def test_latency_counts_from_the_intended_moment_in_scenario_seconds(ask: Ask) -> None:
    row = await ask(streaming(ROLE, TOKEN, b"data: [DONE]\n\n"), at_s=-100.0, speed=10.0)
    assert row.ttft_s is not None
    assert 100.0 <= row.ttft_s < 130.0


async def test_a_pace_waits_in_scenario_seconds() -> None:
    pace = Pace(100.0, asyncio.get_running_loop().time())
    await pace.until(5.0)
    assert 5.0 <= pace.now_s() < 60.0
    await asyncio.wait_for(pace.until(1.0), 0.5)


def test_usage_and_codes_are_found_in_text_that_was_cut_in_front() -> None:
    tail = b'oken":1}]}\n\ndata: {"choices":[],' + USAGE + b"}\n\ndata: [DONE]\n\n"
    assert usage_in(tail) == (100, 10, 40)
    assert usage_in(b'data: {"usage":null}\n\n') is None
    assert code_in(b'..."x"}\n\ndata: {"error":{"code":429}}\n\n') == "429"
    assert code_in(b'data: {"error":"odd"}\n\n') is None
