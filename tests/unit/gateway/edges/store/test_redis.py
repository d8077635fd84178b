"""The Redis store without a server: what it says, and that it loses nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.edges.store.options import StoreOptions
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.store.redis import RedisStore
from gateway.ports import StoreAway

OPTIONS = StoreOptions(timeout=0.2)


def store_at(url: str, clock: Any, recorder: SlotRecorder | None = None) -> RedisStore:
    return RedisStore(url, OPTIONS, clock, recorder or SlotRecorder(), "replica-1")


@pytest.mark.parametrize("url", ["http://h", "redis+cluster://h", "embedded", "memory"])
def test_a_url_of_another_kind_is_refused_by_name(url: str, clock: Any) -> None:
    with pytest.raises(ValueError, match=r"store\.url: scheme"):
        store_at(url, clock)


async def test_a_store_that_is_not_there_is_away_and_says_so_without_the_password(clock: Any, tmp_path: Path) -> None:
    store = store_at("redis://ada:hunter2@127.0.0.1:1/0", clock)
    for call in (store.poll(), store.lead(5.0), store.slots(0.0), store.memory(), store.resign()):
        with pytest.raises(StoreAway) as raised:
            await call
        assert "redis://127.0.0.1:1/0 cannot be reached" in str(raised.value)
        assert "hunter2" not in str(raised.value)
    assert store.health.is_away
    assert store.health.away_since_wall_s == clock.wall_s()
    await store.close()


async def test_counts_wait_while_the_store_is_away(clock: Any, tmp_path: Path) -> None:
    recorder = SlotRecorder()
    store = store_at(f"unix://{tmp_path}/none.sock", clock, recorder)
    for minute in range(90):
        recorder.book([("n", 1)], clock.wall_s() + 60 * minute)
        with pytest.raises(StoreAway):
            await store.flush()
    assert store.health.pending_batches == 1 + 2, "one sealed batch in doubt, and 89 slots in the recorder"
    assert store.health.last_flush_wall_s is None
    assert recorder.slots_held == 89
    await store.close()


async def test_a_server_that_accepts_and_stays_silent_costs_one_timeout(clock: Any, tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(silent, tmp_path / "s.sock")
    store = store_at(f"unix://{tmp_path}/s.sock", clock)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(StoreAway, match=r"did not answer within 0\.2 s"):
        await store.poll()
    took_s = loop.time() - began_s
    with pytest.raises(StoreAway):  # The backoff: nobody waits twice in a row.
        await store.poll()
    assert loop.time() - began_s - took_s < 0.1
    assert took_s < 0.5
    await store.close()
    server.close()


async def test_a_server_that_talks_nonsense_is_away(clock: Any, tmp_path: Path) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_unix_server(nonsense, tmp_path / "s.sock")
    store = store_at(f"unix://{tmp_path}/s.sock", clock)
    with pytest.raises(StoreAway):
        await store.lead(5.0)
    await store.close()
    server.close()
