"""On a cluster node every script keeps to one hash slot and touches declared keys only: the server itself checks."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.domain.limit import Ask, Limit, LimitKind
from gateway.domain.prices import Prices
from gateway.edges.store import binary
from gateway.edges.store.checkup import checkup
from gateway.edges.store.redis import SCRIPTS
from gateway.edges.store.scripts import Script


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
async def node_url(directory: Path) -> AsyncIterator[str]:
    """One cluster node that owns all slots; it needs TCP ports to call itself a node, and is spoken to by its socket."""
    ports = {"port": str(free_port()), "cluster-port": str(free_port()), "bind": "127.0.0.1"}
    settings = {"cluster-enabled": "yes", **ports, "unixsocket": f"{directory}/s", "dir": str(directory), "save": ""}
    command = [str(binary.find()), *(word for name, value in settings.items() for word in (f"--{name}", value))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not (directory / "s").exists():
        assert process.poll() is None
        await asyncio.sleep(0.02)
    client = Redis(unix_socket_path=f"{directory}/s")
    await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    while b"cluster_state:ok" not in await client.execute_command("CLUSTER", "INFO"):
        await asyncio.sleep(0.02)
    await client.aclose()
    yield f"unix://{directory}/s"
    process.kill()
    process.wait()


def slot_of(key: str) -> int:
    """Redis Cluster's hash slot: CRC16 (XMODEM) of what stands in the first braces, or of the whole key; modulo 16384."""
    begins = key.find("{")
    ends = key.find("}", begins + 1)
    if begins >= 0 and ends > begins + 1:
        key = key[begins + 1 : ends]
    crc = 0
    for byte in key.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % 16384


def test_the_hash_slot_is_computed_as_the_specification_says() -> None:
    assert slot_of("123456789") == 0x31C3  # The check value of CRC16/XMODEM.
    assert slot_of("foo{bar}{zap}") == slot_of("bar")
    assert slot_of("foo{}{bar}") == slot_of("foo{}{bar}x"[:-1]) != slot_of("bar")


async def test_all_keys_of_every_script_lie_on_one_slot(replica, client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("gateway.edges.store.redis.COMPARE_EVERY_S", 0.0)
    seen: dict[str, set[int]] = {}
    run = Script.run

    async def noted(self: Script, client: Redis, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        slots = {slot_of(key) for key in keys}
        assert len(slots) == 1, (self.name, keys)
        seen.setdefault(self.name, set()).update(slots)
        return await run(self, client, keys, args)

    monkeypatch.setattr(Script, "run", noted)
    one = replica()
    for back_s in (0, 400, 4000, 90_000, 40 * 86_400):
        one.book("n", 1, one.clock.wall_s() - back_s)
    await one.store.flush()
    await one.store.slots(0)
    token = await one.store.lead(30.0, "h")
    await one.store.publish(Prices(1, token, "h", 0.0, "static"), {}, {})
    await one.store.override({"verb": "freeze", "for_s": 60.0, "by": "ada"})
    await one.store.feedback("req_1", "acme", {"good": True}, one.clock.wall_s())
    limits = [Limit("acme", f"{of}/usd", LimitKind.USD, 1000, 0.0, "little per day (UTC)") for of in ("tenant", "key:1", "model:strong")]
    await one.store.grant([Ask(limit, 1, 0, 0, 0, "", 1, 1, 0, 1) for limit in limits])
    await one.store.resign()
    await checkup(one.store._url, 2.0, one.clock)
    assert set(seen) == {*SCRIPTS, "check"}
    assert {name for name in seen if seen[name] == {slot_of("x{fleet}")}} == {"flush", "changed", "read", "compare"}


async def test_every_call_of_the_store_works_on_a_cluster_node(replica, node_url: str) -> None:  # type: ignore[no-untyped-def]
    one = replica("boot-1", node_url)
    for back_s in (0, 400, 4000, 90_000):
        one.book("n", 1, one.clock.wall_s() - back_s)
    assert await one.store.flush() == 1
    assert await one.store.flush() == 0
    assert await one.total("n") == 4
    token = await one.store.lead(30.0)
    assert await one.store.publish(Prices(1, token, "", 0.0, "static"), {"m": 1}, {"b": 1})
    await one.store.override({"verb": "freeze", "for_s": 60.0, "by": "ada"})
    prices, forced, board = await one.store.poll()
    assert (prices.version, forced.frozen_by, board) == (1, "ada", {"b": 1})
    assert await one.store.memory() == {"m": 1}
    assert len(await one.store.audit()) == 1
    await one.store.feedback("req_1", "acme", {"good": True}, one.clock.wall_s())
    limits = [Limit("acme", name, LimitKind.TOKENS, 600, 10.0, "") for name in ("tenant/tokens", "model:strong/tokens")]
    granted = await one.store.grant([Ask(limit, 1, 0, 0, 0, "", 5, 5, 3, 1) for limit in limits])
    assert [(g.granted, g.held) for g in granted] == [(8, 3)] * 2
    await one.store.resign()
    assert not one.store.health.is_away

    plain = Redis.from_url(node_url)
    with pytest.raises(ResponseError, match="same slot"):  # The node would have said no.
        await plain.eval("return 1", 2, "a", "b")
    await plain.aclose()
