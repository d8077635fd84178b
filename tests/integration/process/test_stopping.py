"""Ends of a gateway: asked to, told to, killed. What was promised is kept, what was counted stays, nothing is left behind."""

import asyncio
import signal
import time
from typing import Any

import aiohttp
import pytest


async def first_content(response: aiohttp.ClientResponse) -> None:
    async for line in response.content:
        if b'"content":"' in line and b'"content":""' not in line:
            return


async def test_sigterm_turns_readiness_red_lets_streams_finish_and_takes_nobody_new(gateway: Any) -> None:
    body = {"model": "weak", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 40, "stream": True}
    async with aiohttp.ClientSession() as probe, gateway.session.post(f"{gateway.url}/v1/chat/completions", json=body) as stream:
        await first_content(stream)
        async with probe.get(f"{gateway.url}/health/readiness") as ready:
            assert ready.status == 200
        gateway.process.send(signal.SIGTERM)
        await asyncio.sleep(0.1)
        for path in ("/health/readiness", "/v1/models"):  # the listener is closed, so is the probe's kept connection
            with pytest.raises(aiohttp.ClientConnectorError):
                await probe.get(f"{gateway.url}{path}")
        rest = await stream.text()
        streamed_s = time.monotonic()
    assert rest.endswith("data: [DONE]\n\n")
    assert await gateway.process.ended() == 0
    assert time.monotonic() - streamed_s < 1, "it ends when the last stream has"
    assert not gateway.pids()
    assert list(gateway.temporary.iterdir()) == []


async def test_sigint_of_an_idle_gateway_is_quick_and_clean(gateway: Any) -> None:
    began_s = time.monotonic()
    gateway.process.send(signal.SIGINT)
    assert await gateway.process.ended() == 0
    assert time.monotonic() - began_s < 2
    assert not gateway.pids()
    assert sorted(p.name for p in gateway.state_directory.iterdir()) == ["appendonlydir", "gateway.lock", "server.lock", "server.log"]


async def test_what_does_not_finish_within_the_grace_is_cut_and_told_so(prepared: Any, engines: Any) -> None:
    prepared.config.write_text(prepared.yaml.replace("drain: 10s", "drain: 400ms"))
    await prepared.start()
    body = {"model": "weak", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9000, "stream": True}
    async with prepared.session.post(f"{prepared.url}/v1/chat/completions", json=body) as stream:
        await first_content(stream)
        prepared.process.send(signal.SIGTERM)
        rest = await stream.text()
    assert '"code":"shutting_down"' in rest
    assert "[DONE]" not in rest
    assert await prepared.process.ended() == 0
    assert engines["weak"].backend.state()["running"] == 0
    assert [d["reason"] for d in prepared.decisions()] == ["shutting_down"]


async def test_counts_are_flushed_at_the_end_and_stand_there_after_a_restart(gateway: Any) -> None:
    await asyncio.gather(*(gateway.ask() for _ in range(40)))
    assert await gateway.process.stop() == 0, "at once, with the last counts not yet flushed"
    decisions = gateway.decisions()
    assert len(decisions) == 40
    await gateway.start()
    books = await gateway.until_counted(40)
    assert books["settled"] == 40
    assert books["usd"] == pytest.approx(sum(d["usd"] for d in decisions), abs=1e-8)
    assert {b["slo"]: b["samples"] for b in (await gateway.state())["board"]["budgets"]} == {"availability": 40, "spend": 40}


async def test_kill_9_leaves_no_process_and_no_file_and_loses_at_most_the_last_flush(gateway: Any) -> None:
    await asyncio.gather(*(gateway.ask() for _ in range(30)))
    written = await gateway.until_counted(30)
    await asyncio.gather(*(gateway.ask() for _ in range(5)))
    gateway.process.send(signal.SIGKILL)
    assert await gateway.process.ended() == -signal.SIGKILL
    assert await gateway.gone(within_s=2) < 2
    assert list(gateway.temporary.iterdir()) == []
    await gateway.start()
    restarted_wall_s = time.time()
    books = gateway.counted(await gateway.until(lambda state: state["board"]["made_wall_s"] > restarted_wall_s))
    assert 30 <= books["served"] <= 35
    assert written["usd"] <= books["usd"]
    assert (await gateway.ask()).is_whole


async def test_a_restart_right_after_kill_9_waits_for_the_old_store_and_goes_on(gateway: Any) -> None:
    for round_ in range(1, 3):
        await asyncio.gather(*(gateway.ask() for _ in range(10)))
        await gateway.until_counted(10 * round_)
        gateway.process.send(signal.SIGKILL)
        await gateway.process.ended()
        assert await gateway.start() < 5
    assert (await gateway.until_counted(20))["settled"] == 20


async def test_a_second_signal_does_not_hurt_a_drain(gateway: Any) -> None:
    body = {"model": "weak", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 30, "stream": True}
    async with gateway.session.post(f"{gateway.url}/v1/chat/completions", json=body) as stream:
        await first_content(stream)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            gateway.process.send(number)
            await asyncio.sleep(0.02)
        assert (await stream.text()).endswith("data: [DONE]\n\n")
    assert await gateway.process.ended() == 0


async def test_sigterm_while_it_starts_ends_it_with_everything_it_had_started(prepared: Any) -> None:
    for delay_s in (0.0, 0.5, 1.0):
        starting = asyncio.ensure_future(prepared.start())
        while prepared.child is None or prepared.child.status is not None:
            await asyncio.sleep(0.005)
        await asyncio.sleep(delay_s)
        prepared.process.send(signal.SIGTERM)
        await asyncio.wait_for(prepared.process.ended(), 10)
        await asyncio.wait([starting])
        starting.exception()
        await prepared.gone(within_s=3)


async def test_feedback_that_was_accepted_is_written_before_the_end(gateway: Any) -> None:
    asked = await gateway.ask()
    assert asked.is_whole
    request_id = (await gateway.state())["worker"]["decisions"][0]["request_id"]
    async with gateway.session.post(f"{gateway.url}/v1/feedback", json={"request_id": request_id, "verdict": "good"}) as response:
        assert response.status == 202
    assert await gateway.process.stop() == 0
    kept = b"".join(file.read_bytes() for file in (gateway.state_directory / "appendonlydir").iterdir())
    assert request_id.encode() in kept
