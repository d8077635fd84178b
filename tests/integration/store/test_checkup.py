"""`sluice store check` against real servers: one that is right, ones that are not, ACL, and TLS before one."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.edges.clock import SystemClock
from gateway.edges.store.checkup import Finding, Level, checkup
from gateway.edges.store.keys import SCHEMA, GroupKeys
from gateway.ports import StoreAway


async def found(url: str) -> dict[str, Finding]:
    return {finding.what: finding for finding in await checkup(url, 2.0, SystemClock())}


def problems(findings: dict[str, Finding]) -> set[str]:
    return {what for what, finding in findings.items() if finding.level is Level.PROBLEM}


async def test_our_own_server_has_no_problem_and_keeps_nothing_of_the_check(replica, client: Redis, session_url: str) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    await one.store.lead(30.0)
    before = set(await client.keys("*"))
    findings = await found(session_url)
    assert {f.level for f in findings.values()} == {Level.OK}, findings
    assert set(findings) == {
        "version", "scripts", "commands", "round trip", "clock", "memory", "eviction", "persistence", "layout", "replicas",
    }  # fmt: skip
    assert findings["replicas"].said == "1 use it now"
    assert set(await client.keys("*")) == before


async def test_what_an_acl_forbids_is_named(client: Redis, session_url: str) -> None:
    async def as_user(*rules: str) -> dict[str, Finding]:
        await client.execute_command("ACL", "SETUSER", "eve", "reset", "on", ">pass", *rules)
        return await found(session_url.replace("unix://", "unix://eve:pass@"))

    assert problems(await as_user("~sluice:*", "+@all")) == set()
    lean = await as_user("~sluice:*", "+@all", "-evalsha", "-script", "-info")
    assert problems(lean) == set()
    assert lean["scripts"].level is lean["version"].level is Level.WARNING
    assert problems(await as_user("~sluice:*", "+@all", "-eval")) == {"scripts"}
    narrow = await as_user("~sluice:*", "+@all", "-zadd", "-expire")
    assert problems(narrow) == {"commands"}
    assert "ZADD" in narrow["commands"].said and "EXPIRE" in narrow["commands"].said
    assert "scripts" in problems(await as_user("~other:*", "+@all"))
    wrong = await found(session_url.replace("unix://", "unix://eve:wrong@"))
    assert "does not accept our user or password" in wrong["connection"].said


async def test_the_user_that_the_page_proposes_is_enough(replica, client: Redis, session_url: str) -> None:  # type: ignore[no-untyped-def]
    house = next(parent for parent in Path(__file__).resolve().parents if (parent / "pyproject.toml").exists())
    (line,) = [line for line in (house / "docs" / "store.md").read_text().splitlines() if line.startswith("ACL SETUSER")]
    await client.execute_command(*line.replace("sluice on", "sluice reset on").split())
    url = session_url.replace("unix://", "unix://sluice:PASSWORD@")
    assert {finding.level for finding in (await found(url)).values()} == {Level.OK}
    one = replica("boot-1", url)
    one.book("n", 1)
    await one.store.flush()
    assert await one.store.lead(30.0) == 1
    assert await one.total("n") == 1
    await one.store.poll()
    await one.store.override({"verb": "freeze", "for_s": 60.0, "by": "ada"})
    assert len(await one.store.audit()) == 1
    await one.store.resign()
    assert not one.store.health.is_away
    assert one.store.health.memory_fill is not None


async def test_a_server_that_evicts_is_full_or_newer_than_us_is_a_problem(replica, server) -> None:  # type: ignore[no-untyped-def]
    own = await server()
    plain = Redis.from_url(own.url)
    await plain.hset(GroupKeys("fleet").schema, "version", str(SCHEMA + 1))
    await plain.config_set("maxmemory-policy", "allkeys-lru")
    await plain.config_set("maxmemory", "1gb")
    assert problems(await found(own.url)) == {"eviction", "layout"}
    await plain.config_set("maxmemory-policy", "noeviction")
    await plain.config_set("maxmemory", "1mb")
    assert {"memory", "layout"} <= problems(await found(own.url))
    await plain.config_set("maxmemory", "0")
    await plain.replicaof("127.0.0.1", "1")
    assert "role" in problems(await found(own.url))
    await plain.aclose()


@pytest.fixture
async def tls_port(session_url: str, directory: Path) -> AsyncIterator[int]:
    """A TLS front before the session's server: the wheel's own build has no TLS ("Missing implement of connection type tls")."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    words = f"req -x509 -newkey rsa:2048 -nodes -keyout {directory}/key.pem -out {directory}/cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(["openssl", *words.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_unix_connection(session_url.removeprefix("unix://"))
        await asyncio.gather(pump(reader, back_writer), pump(back_reader, writer), return_exceptions=True)

    front = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    yield front.sockets[0].getsockname()[1]
    front.close()


async def test_tls_and_a_user_by_url(replica, client: Redis, tls_port: int, directory: Path) -> None:  # type: ignore[no-untyped-def]
    await client.execute_command("ACL", "SETUSER", "tls", "reset", "on", ">pass", "~sluice:*", "+@all")
    url = f"rediss://tls:pass@localhost:{tls_port}/0"
    trusted = f"{url}?ssl_ca_certs={directory}/cert.pem"
    assert problems(await found(trusted)) == set()
    one = replica("boot-1", trusted)
    one.book("n", 3)
    assert await one.store.flush() == 1
    assert await one.total("n") == 3
    stranger = replica("boot-2", url)
    with pytest.raises(StoreAway, match="certificate verify failed"):
        await stranger.store.poll()
    assert "certificate verify failed" in (await found(url))["connection"].said
    mistaken = replica("boot-3", trusted.replace("localhost", "127.0.0.1"))
    with pytest.raises(StoreAway, match="IP address mismatch"):
        await mistaken.store.poll()
