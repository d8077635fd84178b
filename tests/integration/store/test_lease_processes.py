"""Four real processes share hard limits on a real server: within the limit at every look, and next to nobody refused falsely.

Each process holds a quarter of the workers (`drawer.py`); one worker is one process. The clock runs ten times as fast, so that a
minute of limit is six seconds of test. While they run, the store's own books are read every 10 ms; afterwards every request
is held against two buckets: one that is told what was served (it must never be below zero), one that decides itself.
"""

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.edges.store.keys import LimitKeys

HERE = Path(__file__).parent
SPEED = 10.0
MATRIX = [(rpm, workers) for rpm in (10, 60, 600) for workers in (1, 4, 16, 32)]


@dataclass
class Seen:
    """What came of one run."""

    requests: list[tuple[float, float, bool]] = field(default_factory=list)
    """When it came, when it was decided (clock seconds), and whether it was served."""
    shared: int = 0
    """How many of those served took from a safe share: the machine was so busy that the store did not answer in time."""
    together: float = 0.0
    """Most that the store's level and what is out ever held together."""
    left: tuple[float, float] = (0.0, 0.0)
    """Level and what is out at the end."""

    @property
    def served(self) -> int:
        return sum(is_served for _, _, is_served in self.requests)

    def over(self, rpm: int) -> float:
        """Return the most that was ever used beyond what a bucket of the limit had."""
        level, at_s, most = float(rpm), 0.0, 0.0
        for _, decided_s, is_served in sorted(self.requests, key=lambda r: r[1]):
            level = min(level + max(decided_s - at_s, 0.0) * rpm / 60, rpm) - is_served
            at_s, most = decided_s, max(most, -level)
        return most

    def ideal(self, rpm: int) -> int:
        """Return what one counter that is asked every time would have served."""
        level, at_s, served = float(rpm), 0.0, 0
        for came_s, _, _ in sorted(self.requests):
            level = min(level + max(came_s - at_s, 0.0) * rpm / 60, rpm)
            at_s = came_s
            if level >= 1:
                level, served = level - 1, served + 1
        return served


async def play(url: str, client: Redis, rpm: int, workers: int, load: float, seconds: float, kill_at_s: float | None = None) -> Seen:
    """Run the workers for some clock seconds; `kill_at_s`: SIGKILL to one of the processes."""
    processes, seen = min(workers, 4), Seen()
    rate = load * rpm / 60 / processes
    state = LimitKeys("acme").of("tenant/requests")[0]
    children = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, str(HERE / "drawer.py"), url, f"p{i}"),
            *map(str, (rpm, workers // processes, rate, SPEED, 100 * rpm + 10 * workers + i, seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for i in range(processes)
    ]

    async def read(child: asyncio.subprocess.Process) -> bool:
        assert child.stdout is not None
        while line := await child.stdout.readline():
            if line == b"end\n":
                return True
            came_s, decided_s, became = line.split()
            seen.requests.append((float(came_s), float(decided_s), became != b"refused"))
            seen.shared += became == b"shared"
        return False

    async def look() -> None:
        while True:
            level, out = await client.hmget(state, "level", "out")  # type: ignore[misc]
            if level is not None:
                seen.together, seen.left = max(seen.together, float(level) + float(out)), (float(level), float(out))
            await asyncio.sleep(0.01)

    for child in children:
        assert child.stdout is not None and await child.stdout.readline() == b"ready\n"
    looking = asyncio.ensure_future(look())
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
    if kill_at_s is not None:
        await asyncio.sleep(kill_at_s / SPEED)
        children[0].send_signal(signal.SIGKILL)
    ended = await asyncio.gather(*(read(child) for child in children))
    assert ended == [kill_at_s is None, *[True] * (processes - 1)]
    await asyncio.sleep(0.05)
    looking.cancel()
    await asyncio.gather(*(child.wait() for child in children))
    return seen


def holds(seen: Seen, rpm: int, load: float) -> None:
    """Within the limit at every look and in truth; at 80 % load at most one in a thousand refused falsely.

    A saturated limit is judged but for a tenth of a second between a grant and its line in the output, on a busy machine; and what
    safe shares gave out is a debt, not a grant.
    """
    slack = 2 + 0.1 * SPEED * rpm / 60 if load > 1 else 0.0
    assert seen.together <= rpm + 1e-6
    assert seen.over(rpm) <= slack + seen.shared
    missed = seen.ideal(rpm) - seen.served
    assert missed <= max(0.001 * len(seen.requests), slack, 1), (missed, len(seen.requests))


@pytest.mark.parametrize(("rpm", "workers", "load"), [(60, 32, 0.8), (600, 16, 2.5)])
async def test_four_processes_hold_a_limit_together(session_url: str, client: Redis, rpm: int, workers: int, load: float) -> None:
    seen = await play(session_url, client, rpm, workers, load, seconds=15)
    holds(seen, rpm, load)
    assert seen.left[1] == 0, "everything that was not used went back"


async def test_a_killed_process_takes_its_leases_with_it_and_nobody_gets_them_twice(session_url: str, client: Redis) -> None:
    seen = await play(session_url, client, 600, 16, 0.9, seconds=20, kill_at_s=8)
    assert seen.together <= 600 + 1e-6
    assert seen.over(600) <= seen.shared
    assert 0 < seen.left[1] <= 600 / 64 * 4, "four workers died; what they had at hand counts as used, at most a lease each"


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("rpm", "workers"), MATRIX)
async def test_the_whole_matrix_for_some_minutes(session_url: str, client: Redis, rpm: int, workers: int) -> None:
    for load, seconds in ((0.8, 240 if rpm < 600 else 120), (2.5, 60)):
        await client.flushall()
        seen = await play(session_url, client, rpm, workers, load, seconds)
        missed = seen.ideal(rpm) - seen.served
        asked, over = len(seen.requests), seen.over(rpm)
        print(f"rpm {rpm} x {workers}, load {load}: {asked} asked, {seen.served} served ({seen.shared} from shares),", end=" ")
        print(f"falsely refused {missed}, granted and settled at most {seen.together:.3f}, over {over:.3f}, still out {seen.left[1]:g}")
        holds(seen, rpm, load)
        assert seen.left[1] == 0
