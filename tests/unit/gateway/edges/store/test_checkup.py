"""What is said of what a server tells; the server itself is real in `tests/integration/store/test_checkup.py`."""

from typing import Any

import pytest

from gateway.edges.store.checkup import Finding, Level, _memory, _persistence, _version, checkup

MIB = 2**20


def worst(findings: list[Finding]) -> Level:
    return max((f.level for f in findings), key=list(Level).index)


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, Level.OK),
        ({"redis_version": "5.0.0"}, Level.OK),
        ({"redis_version": "4.0.14"}, Level.PROBLEM),
        ({}, Level.WARNING),
    ],
)
def test_versions(info: dict[str, Any], level: Level) -> None:
    assert _version(info).level is level


@pytest.mark.parametrize(
    ("used", "limit", "policy", "level"),
    [
        (10 * MIB, 64 * MIB, "noeviction", Level.OK),
        (10 * MIB, 0, "noeviction", Level.OK),
        (52 * MIB, 64 * MIB, "noeviction", Level.WARNING),
        (63 * MIB, 64 * MIB, "noeviction", Level.PROBLEM),
        (10 * MIB, 64 * MIB, "allkeys-lru", Level.PROBLEM),
        (10 * MIB, 64 * MIB, "volatile-ttl", Level.PROBLEM),
        (10 * MIB, 0, "allkeys-lru", Level.WARNING),
    ],
)
def test_memory_and_eviction(used: int, limit: int, policy: str, level: Level) -> None:
    assert worst(_memory({"used_memory": used, "maxmemory": limit, "maxmemory_policy": policy})) is level


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({"aof_enabled": 1, "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok"}, Level.OK),
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "ok"}, Level.WARNING),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, Level.PROBLEM),
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "err"}, Level.PROBLEM),
        ({}, Level.WARNING),
    ],
)
def test_persistence(info: dict[str, Any], level: Level) -> None:
    assert _persistence(info).level is level


async def test_a_server_that_is_not_there_is_one_problem_with_a_way_out(clock: Any) -> None:
    (finding,) = await checkup("redis://ada:hunter2@127.0.0.1:1/0", 0.2, clock)
    assert finding.level is Level.PROBLEM
    assert str(finding).startswith("PROBLEM  connection   store redis://127.0.0.1:1/0 cannot be reached")
    assert "hunter2" not in str(finding)
    assert finding.way_out
