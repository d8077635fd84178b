"""Would this server do as our store? What it is, what it allows, and what would not work, each with the way out.

Reads, and writes four keys of its own that it deletes again; it can be run against a server in use.
"""

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError

from gateway.edges.store.client import connect
from gateway.edges.store.journal import RING_S
from gateway.edges.store.keys import SCHEMA, CheckKeys, ControlKeys, GroupKeys
from gateway.edges.store.scripts import Script
from gateway.edges.store.trouble import TROUBLES, reason_of
from gateway.ports import Clock

VERSION_MIN = (5, 0)
"""Before Redis 5 a script that has read the clock may not write."""
ROUND_TRIPS = 30
SLOW_S, TOO_SLOW_S = 0.02, 0.25
"""An awaited grant may take 50 ms, a background command 500 ms: half of each, or less, is left to bad moments."""
FILL_WARNED, FILL_MAX = 0.8, 0.97
OFFSET_WARNED_S, OFFSET_MAX_S = 1.0, 20.0
"""From two slots of ten seconds on the server puts what we book into slots of its own."""


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Level
    what: str
    said: str
    way_out: str = ""

    def __str__(self) -> str:
        return f"{self.level.value:<8} {self.what:<12} {self.said}{f'; {self.way_out}' if self.way_out else ''}"


async def checkup(url: str, timeout_s: float, clock: Clock) -> list[Finding]:
    """Look at a server. Raises: ValueError for a URL that is none of ours."""
    client, findings = connect(url, timeout_s), list[Finding]()
    try:
        async for finding in _findings(client, clock):
            findings.append(finding)
    except TROUBLES as exc:
        findings.append(
            Finding(
                Level.PROBLEM, "connection", reason_of(exc, url, timeout_s), "see that it runs, and that URL, network and ACL let us in"
            )
        )
    finally:
        await client.aclose()
    return findings


async def _findings(client: Redis, clock: Clock) -> AsyncIterator[Finding]:
    await cast(Awaitable[Any], client.ping())
    info = await _info(client)
    yield _version(info)
    if info.get("cluster_enabled"):
        yield Finding(
            Level.WARNING,
            "cluster",
            "it is a cluster's node",
            "keys of several groups need several nodes: a cluster of more than this one does not work yet",
        )
    if info.get("role") == "slave":
        yield Finding(Level.PROBLEM, "role", "it is a read-only replica", "name the primary in the URL")
    can_eval = True
    async for finding in _scripts(client):
        can_eval = can_eval and finding.level is not Level.PROBLEM
        yield finding
    if can_eval:
        yield await _commands(client, clock)
    yield await _round_trip(client, clock)
    yield await _clock(client, clock)
    for finding in (*_memory(info), _persistence(info)):
        yield finding
    yield await _schema(client)
    yield await _replicas(client, clock)


async def _info(client: Redis) -> Mapping[str, Any]:
    """Return what INFO says; empty where it is forbidden."""
    try:
        return cast(Mapping[str, Any], await client.info())
    except NoPermissionError:
        return {}


def _version(info: Mapping[str, Any]) -> Finding:
    if not info:
        return Finding(Level.WARNING, "version", "INFO is not allowed: version, memory and persistence are not known", "allow +info")
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version"))
    compatible = tuple(int(part) for part in str(info.get("redis_version")).split(".")[:2])
    if compatible < VERSION_MIN:
        return Finding(Level.PROBLEM, "version", f"{name} {version}", "scripts need Redis 5 or later, or Valkey")
    return Finding(Level.OK, "version", f"{name} {version}")


async def _scripts(client: Redis) -> AsyncIterator[Finding]:
    try:
        await client.eval("return 1", 1, CheckKeys.of("eval")[0])
    except ResponseError as exc:
        yield Finding(
            Level.PROBLEM, "scripts", f"EVAL is refused ({exc})", "allow +eval and the keys ~sluice:*; nothing can be counted without"
        )
        return
    try:
        await client.evalsha("0" * 40, 1, CheckKeys.of("eval")[0])
    except NoScriptError:
        yield Finding(Level.OK, "scripts", "EVAL and EVALSHA")
    except ResponseError as exc:
        yield Finding(
            Level.WARNING, "scripts", f"EVALSHA is refused ({exc}): every call sends its script's text, some kB", "allow +evalsha"
        )


async def _commands(client: Redis, clock: Clock) -> Finding:
    keys = CheckKeys.of(f"{clock.wall_s():.6f}")
    refused = await Script("check").run(client, keys, ())
    if refused:
        told = ", ".join(f"{name} ({words})" for name, words in zip(refused[::2], refused[1::2], strict=True))
        return Finding(Level.PROBLEM, "commands", f"refused: {told}", "allow what is named, on ~sluice:*")
    return Finding(Level.OK, "commands", "every command of the scripts")


async def _round_trip(client: Redis, clock: Clock) -> Finding:
    took_s = []
    for _ in range(ROUND_TRIPS):
        began_s = clock.now_s()
        await cast(Awaitable[Any], client.ping())
        took_s.append(clock.now_s() - began_s)
    said = f"median {median(took_s) * 1e3:.2f} ms, worst of {ROUND_TRIPS} {max(took_s) * 1e3:.2f} ms"
    if median(took_s) > TOO_SLOW_S:
        return Finding(Level.PROBLEM, "round trip", said, "background commands are given up after 500 ms: take a nearer server")
    if median(took_s) > SLOW_S:
        return Finding(Level.WARNING, "round trip", said, "a tenant near its limit waits for one, up to 50 ms: take a nearer server")
    return Finding(Level.OK, "round trip", said)


async def _clock(client: Redis, clock: Clock) -> Finding:
    before_s = clock.wall_s()
    seconds, micros = await client.time()
    offset_s = seconds + micros / 1e6 - (before_s + clock.wall_s()) / 2
    said = f"{offset_s:+.3f} s against this machine's"
    if abs(offset_s) > OFFSET_MAX_S:
        return Finding(Level.PROBLEM, "clock", said, "counts would lie in other slots than the budgets look at: set one of them right")
    if abs(offset_s) > OFFSET_WARNED_S:
        return Finding(Level.WARNING, "clock", said, "set one of them right")
    return Finding(Level.OK, "clock", said)


def _memory(info: Mapping[str, Any]) -> list[Finding]:
    if "used_memory" not in info:
        return []
    used, limit, policy = int(info["used_memory"]), int(info.get("maxmemory") or 0), str(info.get("maxmemory_policy", "unknown"))
    said = f"{used / 2**20:.1f} MiB used, limit {f'{limit / 2**20:.0f} MiB' if limit else 'none'}"
    found = [Finding(Level.OK, "memory", said)]
    if limit and used >= FILL_MAX * limit:
        found = [Finding(Level.PROBLEM, "memory", f"{said}: it is full", "raise maxmemory; a full store counts as away")]
    elif limit and used >= FILL_WARNED * limit:
        found = [Finding(Level.WARNING, "memory", f"{said}: it will soon be full", "raise maxmemory")]
    if policy != "noeviction" and (limit or policy == "unknown"):
        found.append(
            Finding(Level.PROBLEM, "eviction", f"policy {policy}", "counts would vanish silently: set maxmemory-policy noeviction")
        )
    elif policy != "noeviction":
        found.append(Finding(Level.WARNING, "eviction", f"policy {policy}, idle without a limit", "set maxmemory-policy noeviction"))
    else:
        found.append(Finding(Level.OK, "eviction", "noeviction"))
    return found


def _persistence(info: Mapping[str, Any]) -> Finding:
    what = "persistence"
    if "aof_enabled" not in info:
        return Finding(Level.WARNING, what, "not known")
    if info.get("aof_last_write_status") not in (None, "ok") or info.get("rdb_last_bgsave_status") not in (None, "ok"):
        return Finding(Level.PROBLEM, what, "its last write to disk failed", "see its log: a server that cannot save may refuse writes")
    if info["aof_enabled"]:
        return Finding(Level.OK, what, "append-only file")
    return Finding(
        Level.WARNING, what, "no append-only file: a crash takes back everything since the last snapshot",
        f"set appendonly yes, appendfsync everysec; replicas send again what they wrote in the last {RING_S:g} s only",
    )  # fmt: skip


async def _schema(client: Redis) -> Finding:
    try:
        text = await cast(Awaitable[str | None], client.hget(GroupKeys("fleet").schema, "version"))
    except ResponseError as exc:
        return Finding(Level.PROBLEM, "layout", str(exc), "allow +@read and +@write on the keys ~sluice:*")
    if text is not None and float(text) > SCHEMA:
        return Finding(
            Level.PROBLEM, "layout", f"a newer build writes layout {text} here, ours is {SCHEMA}", "upgrade, or use a database of your own"
        )
    said = "no counts yet" if text is None else f"counts of layout {text}"
    return Finding(Level.OK, "layout", said if text is None or float(text) == SCHEMA else f"{said}, unread: ours is {SCHEMA}")


async def _replicas(client: Redis, clock: Clock) -> Finding:
    try:
        alive = int(await client.zcount(ControlKeys.alive, clock.wall_s() * 1000, "+inf"))
    except RedisError as exc:
        return Finding(Level.WARNING, "replicas", f"not known ({exc})", "allow +@read on the keys ~sluice:*")
    return Finding(Level.OK, "replicas", f"{alive} use it now")
