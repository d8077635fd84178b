"""The store dies or freezes under load: requests go on, the state says so, and afterwards every count is there exactly once."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest
from redis.asyncio import Redis

RATE = 40.0


async def away_for(gateway: Any, seconds: float) -> None:
    """Kill the embedded server again and again, as often as the gateway starts it."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        try:
            os.kill(gateway.store_pid, signal.SIGKILL)
        except (ValueError, ProcessLookupError):
            pass
        await asyncio.sleep(0.02)


async def frozen_for(gateway: Any, seconds: float) -> None:
    pid = gateway.store_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (away_for, 2.5),
        (frozen_for, 2.5),
        pytest.param(away_for, 10.0, marks=pytest.mark.soak),
        pytest.param(frozen_for, 10.0, marks=pytest.mark.soak),
    ],
)
async def test_no_client_notices_a_store_that_is_away_and_no_count_is_lost_or_doubled(gateway: Any, trouble: Any, seconds: float) -> None:
    async with gateway.traffic(RATE) as traffic:
        await asyncio.sleep(1.0)
        hurting = asyncio.ensure_future(trouble(gateway, seconds))
        state = await gateway.until(lambda state: state["worker"]["store"]["is_away"], within_s=2.5)
        assert state["worker"]["store"]["last_error"]
        version = state["local"]["prices_version"]
        async with gateway.session.get(f"{gateway.url}/health/readiness") as ready:
            assert ready.status == 200
        await asyncio.sleep(seconds / 2)
        assert (await gateway.state())["local"]["prices_version"] == version, "frozen prices"
        await hurting
        await gateway.until(lambda state: not state["worker"]["store"]["is_away"], within_s=12.0)
        await asyncio.sleep(0.5)
    assert not traffic.failed
    assert len(traffic.asked) > RATE * (1.5 + seconds) * 0.8
    books = await gateway.until_counted(len(traffic.asked))
    assert books["settled"] == len(traffic.asked) == books["all"]
    after = await gateway.state()
    assert after["worker"]["store"]["pending_batches"] <= 1
    assert after["worker"]["store"]["lost_batches"] == 0
    assert after["local"]["prices_version"] > version, "and the budgets are judged again"


def at(took_s: list[float], share: float) -> float:
    """Return what this share of the calls did not exceed."""
    return sorted(took_s)[min(int(len(took_s) * share), len(took_s) - 1)]


@pytest.mark.parametrize("slice_s", [0.7, pytest.param(4.0, marks=pytest.mark.soak)])
async def test_no_answer_is_slower_while_the_store_is_frozen(gateway: Any, slice_s: float) -> None:
    """Who waited for the store once would be late by its 500 ms; and the whole distribution stays what it was.

    In slices by turns, so that another's load on this machine falls on both.
    """
    took_s: dict[bool, list[float]] = {False: [], True: []}
    for is_frozen in (False, True) * 3:
        async with gateway.traffic(RATE) as traffic:
            await (frozen_for(gateway, slice_s) if is_frozen else asyncio.sleep(slice_s))
        assert not traffic.failed
        took_s[is_frozen] += [a.ended_s - a.began_s for a in traffic.asked]
    told = {share: (at(took_s[False], share), at(took_s[True], share)) for share in (0.5, 0.9, 0.99, 1.0)}
    print("\n" + ", ".join(f"p{share * 100:g} {was * 1e3:.1f} -> {now * 1e3:.1f} ms" for share, (was, now) in told.items()))
    assert told[0.5][1] < 3 * told[0.5][0] + 0.02
    assert told[0.9][1] < 3 * told[0.9][0] + 0.05
    assert told[1.0][1] < told[1.0][0] + 0.4


async def test_a_full_store_is_away_is_said_and_costs_no_client_anything(prepared: Any) -> None:
    gateway = prepared
    gateway.config.write_text(gateway.yaml.replace("flush_every: 200ms", "flush_every: 200ms, stale_after: 800ms"))
    await gateway.start()
    plain = Redis(unix_socket_path=str(gateway.state_directory / "store.sock"))
    async with gateway.traffic(RATE) as traffic:
        await asyncio.sleep(0.6)
        await plain.config_set("maxmemory", "1mb")
        state = await gateway.until(lambda state: state["worker"]["store"]["is_away"], within_s=3.0)
        assert "is full (maxmemory reached, policy noeviction)" in state["worker"]["store"]["last_error"]
        async with gateway.session.get(f"{gateway.url}/health/readiness") as ready:
            assert (ready.status, (await ready.json())["store"]) == (200, "away")
        await gateway.until(lambda state: state["local"]["is_stale"], within_s=3.0)
        assert (await gateway.state())["worker"]["store"]["is_away"], "it can be read, but that does not help"
        await plain.config_set("maxmemory", "64mb")
        await gateway.until(lambda state: not state["worker"]["store"]["is_away"] and not state["local"]["is_stale"], within_s=3.0)
        async with gateway.session.get(f"{gateway.url}/health/readiness") as ready:
            assert (await ready.json())["store"] == "connected"
    await plain.aclose()
    assert not traffic.failed
    books = await gateway.until_counted(len(traffic.asked))
    assert books["settled"] == len(traffic.asked) == books["all"]


async def test_a_gateway_that_stops_while_its_store_is_away_does_not_wait_for_it(gateway: Any) -> None:
    await gateway.ask()
    pid = gateway.store_pid
    os.kill(pid, signal.SIGSTOP)
    began_s = time.monotonic()
    gateway.process.send(signal.SIGTERM)
    assert await asyncio.wait_for(gateway.process.ended(), 15) == 0
    assert time.monotonic() - began_s < 12
    await gateway.gone()


async def test_gateway_and_store_away_for_a_while_keep_their_budgets(gateway: Any) -> None:
    """20 minutes in the promise; nothing in the files depends on how long, so a moment stands for them here."""
    async with gateway.traffic(RATE) as traffic:
        await asyncio.sleep(1.0)
    books = await gateway.until_counted(len(traffic.asked))
    await gateway.process.stop()
    assert not gateway.pids()
    await asyncio.sleep(0.5)
    await gateway.start()
    async with gateway.traffic(RATE) as more:
        await asyncio.sleep(0.5)
    assert not more.failed
    after = await gateway.until_counted(len(traffic.asked) + len(more.asked))
    assert after["usd"] > books["usd"]
    assert after["settled"] == after["served"]
