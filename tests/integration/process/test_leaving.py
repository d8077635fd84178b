"""Clients that leave: their backend is stopped within 200 ms, streamed or not, and what they used is written down."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

CANCELLED_S = 0.2
LEAVERS = 12


@pytest.mark.parametrize("stream", [True, False])
async def test_every_client_that_leaves_stops_its_backend_within_200_ms(gateway: Any, engines: Any, stream: bool) -> None:
    backend = engines["weak"].backend
    body = {"model": "weak", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5000, "stream": stream}
    took_s = []
    for number in range(1, LEAVERS + 1):
        async with aiohttp.ClientSession() as session:
            task = asyncio.ensure_future(session.post(f"{gateway.url}/v1/chat/completions", json=body))
            while backend.state()["running"] == 0:
                await asyncio.sleep(0.002)
            if stream:
                response = await task
                await response.content.readany()
                response.close()
            else:
                task.cancel()
            left_s = time.monotonic()
            while backend.counters.cancelled < number:
                assert time.monotonic() - left_s < 5
                await asyncio.sleep(0.001)
            took_s.append(time.monotonic() - left_s)
    print(f"cancelled after {max(took_s) * 1000:.0f} ms at most, {sorted(took_s)[LEAVERS // 2] * 1000:.1f} ms in the median of {LEAVERS}")
    assert max(took_s) <= CANCELLED_S
    await gateway.until(lambda state: state["worker"]["in_flight"] == 0)
    state = await gateway.until(lambda state: state["worker"]["decision_log"]["waiting"] == 0)
    assert [b["in_flight"] for b in state["local"]["backends"]] == [0, 0]
    decisions = gateway.decisions()
    assert [d["reason"] for d in decisions] == ["client_cancelled"] * LEAVERS
    assert all(d["estimated"] and d["usd"] > 0 for d in decisions)
    books = gateway.counted(await gateway.until(lambda state: gateway.counted(state)["all"] == LEAVERS))
    assert books["usd"] == pytest.approx(sum(d["usd"] for d in decisions), abs=1e-8)
    availability = (await gateway.state())["board"]["budgets"][0]
    assert availability["bad"] == 0, "leaving is nobody's failure"
