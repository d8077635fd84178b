"""Two gateways, one store: the same prices and counts, one writer, the newest configuration, and each for itself without it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.edges.store import embedded
from gateway.edges.store.embedded import EmbeddedServer
from gateway.edges.store.options import StoreOptions

RATE = 20.0


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[EmbeddedServer]:
    one = await embedded.start(StoreOptions(directory=str(folder / "s"), memory_max=64 * 1024 * 1024))
    yield one
    await one.stop()


@pytest.fixture
async def pair(folder: Path, engines: dict[str, Any], server: EmbeddedServer, gateway_class: Any) -> AsyncIterator[tuple[Any, Any]]:
    made = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        backends = {model: backend.base_url for model, backend in engines.items()}
        made.append(gateway_class(folder / name, backends, store=f'url: "{server.url}", alone_after: 1s, stale_after: 800ms'))
    await asyncio.gather(*(one.start() for one in made))
    yield made[0], made[1]
    for one in made:
        await one.close()
        assert "Traceback" not in one.log.read_text()


def leader_of(states: list[Any]) -> int:
    (index,) = [i for i, state in enumerate(states) if state["worker"]["is_leader"]]
    return index


def prices_of(gateway: Any) -> dict[tuple[int, int], Any]:
    """Every version of prices that was in force there, from its decision log."""
    lines = [json.loads(line) for line in (gateway.folder / "decisions.jsonl").read_text().splitlines()]
    prices = [line["prices"] for line in lines if line["kind"] == "prices"]
    return {(p["fencing_token"], p["version"]): p for p in prices}


async def test_both_have_the_same_prices_and_counts_and_a_leader_that_slept_past_its_lease_writes_nothing(pair: tuple[Any, Any]) -> None:
    a, b = pair
    async with a.traffic(RATE) as at_a, b.traffic(RATE) as at_b:
        await asyncio.sleep(2.5)
        states = [await a.state(), await b.state()]
    assert not at_a.failed and not at_b.failed
    leader_of(states)
    assert [state["worker"]["fleet"]["replicas"] for state in states] == [2, 2]
    assert abs(states[0]["local"]["prices_version"] - states[1]["local"]["prices_version"]) <= 1
    served = len(at_a.asked) + len(at_b.asked)
    assert await a.until_counted(served) == await b.until_counted(served)
    await asyncio.sleep(0.3)  # Both logs are flushed.
    ours, theirs = prices_of(a), prices_of(b)
    common = set(ours) & set(theirs)
    print(f"\n{len(ours)} and {len(theirs)} versions of prices in force, {len(common)} in both: price spread 0")
    assert len(common) >= 5
    assert all(ours[version] == theirs[version] for version in common)

    leads = leader_of([await a.state(), await b.state()])
    sleeper, other = pair[leads], pair[1 - leads]
    async with other.traffic(RATE):
        os.kill(sleeper.process.pid, signal.SIGSTOP)
        try:
            await other.until(lambda state: state["worker"]["is_leader"], within_s=6.0)
            await asyncio.sleep(1.0)
        finally:
            os.kill(sleeper.process.pid, signal.SIGCONT)
        await asyncio.sleep(1.3)
    seen = list(prices_of(other))
    assert seen == sorted(seen), "neither tokens nor versions ever go back"
    assert len({token for token, _ in seen}) >= 2


async def test_with_different_configurations_the_newest_governs_and_the_mismatch_is_shown(pair: tuple[Any, Any]) -> None:
    a, b = pair
    async with a.traffic(RATE) as at_a, b.traffic(RATE) as at_b:
        await asyncio.sleep(0.5)
        leads = leader_of([await a.state(), await b.state()])
        old, new = (pair[leads], pair[1 - leads])
        before = [await one.state() for one in pair]
        assert len({state["worker"]["config"]["hash"] for state in before}) == 2, "addresses differ"
        assert [state["worker"]["fleet"]["behind"] for state in before] == [0, 0], "budgets do not"
        new.config.write_text(new.yaml.replace("usd: 1000", "usd: 2000"))
        state = await new.until(lambda state: state["worker"]["is_leader"] and state["worker"]["config"]["generation"] == 2)
        edited = state["worker"]["config"]["price_hash"]
        state = await old.until(lambda state: state["board"]["config_hash"] == edited and state["worker"]["fleet"]["behind"] == 1)
        assert state["worker"]["fleet"]["generation"] < state["worker"]["fleet"]["newest"]
        assert not state["worker"]["is_leader"]
        async with old.session.get(f"http://{old.admin}/metrics") as response:
            metrics = dict(line.rsplit(" ", 1) for line in (await response.text()).splitlines() if line.startswith("sluice_"))
        told = [float(metrics[name]) for name in ("sluice_config_mismatch", "sluice_replicas", "sluice_replicas_behind")]
        assert told == [1, 2, 1]
        await new.until(lambda state: state["worker"]["fleet"]["behind"] == 1)
        await asyncio.sleep(0.7)
        assert (await new.state())["worker"]["is_leader"], "and it stays so"
    assert not at_a.failed and not at_b.failed
    served = len(at_a.asked) + len(at_b.asked)
    assert (await a.until_counted(served))["settled"] == served, "a changed budget keeps its counts"


async def test_without_the_store_each_goes_on_alone_and_afterwards_every_count_is_there_once(
    pair: tuple[Any, Any], server: EmbeddedServer
) -> None:
    a, b = pair
    assert server.health.pid is not None
    async with a.traffic(RATE) as at_a, b.traffic(RATE) as at_b:
        await asyncio.sleep(0.7)
        os.kill(server.health.pid, signal.SIGSTOP)
        try:
            for one in pair:
                state = await one.until(lambda state: state["local"]["alone_since_wall_s"], within_s=8.0)
                assert state["worker"]["fleet"]["replicas"] == 2
                assert state["worker"]["store"]["is_away"]
                assert state["local"]["is_stale"], "nobody else has confirmed these prices"
            version = (await a.state())["local"]["prices_version"]
            await a.until(lambda state: state["local"]["prices_version"] > version + 1, within_s=4.0)
        finally:
            os.kill(server.health.pid, signal.SIGCONT)
        for one in pair:
            await one.until(lambda state: state["local"]["alone_since_wall_s"] is None and not state["worker"]["store"]["is_away"], 8.0)
    assert not at_a.failed and not at_b.failed
    served = len(at_a.asked) + len(at_b.asked)
    books = await a.until_counted(served)
    assert books == await b.until_counted(served)
    assert books["settled"] == served == books["all"]
