"""A process full of replicas that draw on one limit, for `test_lease_processes.py`.

    python drawer.py URL NAME RPM REPLICAS RATE SPEED SEED SECONDS

Requests come as a Poisson process, RATE per clock second over all replicas of this process; each goes through `LimitState` and
`LeaseDesk` on its own `RedisStore`, as in a gateway. On standard output, one line per request: when it came, when it was decided
(machine's monotonic clock times SPEED) and what became of it: served, shared (from a safe share, since the store did not answer in
time) or refused; at the end, after everything went back, a line `end`.
"""

import asyncio
import random
import sys
import time

from gateway.core.tenants.limits import LACKING, LimitState
from gateway.domain.limit import Limit, LimitKind
from gateway.edges.clock import SystemClock
from gateway.edges.store.leases import LeaseDesk
from gateway.edges.store.options import StoreOptions
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.store.redis import RedisStore
from gateway.ports import StoreAway

REFILL_S = 0.05
"""As in the worker."""


class Replica:
    def __init__(self, url: str, name: str, clock: SystemClock) -> None:
        self.clock, self.limits = clock, LimitState()
        self.store = RedisStore(url, StoreOptions(), clock, SlotRecorder(), name)
        self.desk = LeaseDesk(clock, self.store, self.limits)

    async def refill(self) -> None:
        while True:
            try:
                await self.desk.refill()
            except StoreAway:
                pass
            await self.clock.sleep(REFILL_S * self.clock.speed)

    async def request(self, limit: Limit) -> str:
        now_s, wall_s = self.clock.now_s(), self.clock.wall_s()
        draw = self.limits.draw([limit], 0, 0.0, now_s)
        answer = self.limits.take(draw, now_s, wall_s)
        refused = await self.desk.fetch(draw) if answer is LACKING else answer
        return "refused" if refused is not None else "shared" if draw.shares else "served"


async def main(url: str, name: str, rpm: int, replicas: int, rate: float, speed: float, seed: int, seconds: float) -> None:
    rng, clock = random.Random(seed), SystemClock(speed)
    limit = Limit("acme", "tenant/requests", LimitKind.REQUESTS, rpm, rpm / 60, f"{rpm} requests per minute")
    all_of_us = [Replica(url, f"{name}-{i}", clock) for i in range(replicas)]
    for one in all_of_us:
        await one.store.flush()  # connected before the first request
    duties = [asyncio.ensure_future(one.refill()) for one in all_of_us]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began_s = time.monotonic() * speed

    async def one_request(came_s: float) -> None:
        became = await rng.choice(all_of_us).request(limit)
        print(came_s, time.monotonic() * speed, became, flush=True)

    async with asyncio.TaskGroup() as group:
        due_s = began_s
        while (due_s := due_s + rng.expovariate(rate)) < began_s + seconds:
            await asyncio.sleep(max(due_s / speed - time.monotonic(), 0))
            group.create_task(one_request(time.monotonic() * speed))
    for duty in duties:
        duty.cancel()
    for one in all_of_us:
        await one.desk.give_back()
        await one.store.close()
    print("end", flush=True)


if __name__ == "__main__":
    url, name, *numbers = sys.argv[1:]
    rpm, replicas, rate, speed, seed, seconds = map(float, numbers)
    asyncio.run(main(url, name, int(rpm), int(replicas), rate, speed, int(seed), seconds))
