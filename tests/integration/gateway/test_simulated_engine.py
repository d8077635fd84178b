"""The gateway before simulated engines with every fault that the load harness knows."""

import asyncio
import json

import pytest

from gateway.edges.upstream.probe import Probe
from gateway.edges.upstream.scrape import Scrape
from load.backend import start
from load.faults import Fault, FaultKind

ASK = {"model": "one", "max_tokens": 20, "messages": [{"role": "user", "content": "tell me a story"}]}


@pytest.fixture
async def engines():
    made = []

    async def make(model="strong"):
        backend = await start(model="real-model", name=model, speed=50)
        made.append(backend)
        return backend

    yield make
    for backend in made:
        await backend.close()


@pytest.fixture
async def session():
    import aiohttp

    async with aiohttp.ClientSession() as made:
        yield made


async def ask(session, gateway, **more):
    async with session.post(gateway.url + "/chat/completions", json={**ASK, **more}) as response:
        return response.status, await response.read()


async def test_whole_and_streamed_answers_of_an_engine_are_served_and_metered(engines, gateways, session):
    engine = await engines()
    gateway = await gateways([engine.base_url])
    status, body = await ask(session, gateway)
    assert status == 200 and json.loads(body)["usage"]["completion_tokens"] == gateway.books.outcomes[-1].completion_tokens
    status, body = await ask(session, gateway, stream=True)
    assert status == 200 and body.endswith(b"data: [DONE]\n\n") and b'"usage":{' not in body.replace(b" ", b"")
    outcome = gateway.books.outcomes[-1]
    assert outcome.completion_tokens > 0 and not outcome.is_estimated


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", list(FaultKind))
async def test_a_faulty_engine_is_answered_for_by_a_sound_one_or_ends_with_an_error(engines, gateways, session, kind, stream):
    bad, good = await engines("bad"), await engines("good")
    bad.backend.set_fault(Fault(kind, size=1.0 if kind is FaultKind.ERRORS else -1.0))
    gateway = await gateways(
        [bad.base_url, good.base_url], upstream="ttft_timeout: 500ms, idle_timeout: 300ms, total_timeout: 5s, retry_share: 0"
    )
    for _ in range(6):
        status, body = await asyncio.wait_for(ask(session, gateway, stream=stream), 10)
        reason = gateway.books.outcomes[-1].reason.value
        if reason == "served":
            assert status == 200 and (not stream or body.endswith(b"data: [DONE]\n\n"))
        else:
            # Content had reached the client: nothing else may be tried, and the stream says so.
            assert stream and kind in (FaultKind.CUT, FaultKind.STALL), (reason, body)
            assert b'"error"' in body and b"[DONE]" not in body
    assert len(gateway.books.outcomes) == 6 and gateway.port.in_flight == 0
    assert not any(is_retry for _, is_retry in gateway.books.agains)
    assert gateway.state.reserved_usd == pytest.approx(0, abs=1e-9)


async def test_health_and_load_of_an_engine_are_read(engines, gateways):
    engine = await engines()
    gateway = await gateways([engine.base_url])
    backend = gateway.config.catalog.models["strong"].backends[0]
    from dataclasses import replace

    vllm = replace(backend, engine="vllm")
    probe, scrape = Probe(gateway.upstream), Scrape(gateway.upstream)
    assert await probe.probe(backend) is None
    assert await probe.probe(vllm) is True
    load = await scrape.scrape_once(vllm)
    assert load is not None and load.waiting == 0 and load.running == 0 and load.kv_usage is not None
    assert await scrape.scrape_once(backend) is None
    await engine.close()
    assert await probe.probe(vllm) is False
    assert await scrape.scrape_once(vllm) is None
