"""One process of the accounting test: it books at random, flushes, leads when it may, and leaves the truth in a file.

    bookkeeper.py LINE SERVER FOLDER NAME SPEED MONO_0 WALL_0

It writes counts over LINE, which loses and repeats, and leads over SERVER: a full read has thousands of slots under so fast a clock.

FOLDER/NAME, which is there already, is four integers, mapped into memory, so that they outlive `kill -9`: requests and
nano-dollars booked, then both as far as a flush has been acknowledged. FOLDER/leads exists while somebody may lead;
FOLDER/quiet once all is to be written. A leader writes what its ledger says to FOLDER/account; whoever has written
everything makes FOLDER/NAME.done.
"""

import asyncio
import json
import mmap
import random
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.core.budget.counts import Counts
from gateway.core.budget.ledger import Ledger
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slo import Period, Slo, SloSpec
from gateway.edges.clock import SystemClock
from gateway.edges.store.options import StoreOptions
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.store.redis import RedisStore
from gateway.ports import StoreAway

BOOK_EVERY_S, FLUSH_EVERY_S, TICK_S = 0.01, 0.1, 0.2
SPEND = Slo.of(SloSpec("spend", "cost", Cost.Options(1e6), period=Period("fixed", 60 * 86_400.0)))


class Bookkeeper:
    """Duties of one process."""

    def __init__(self, line: str, server: str, folder: Path, name: str, clock: SystemClock) -> None:
        self.folder, self.name, self.clock, self.draw = folder, name, clock, random.Random(name)
        self.recorder = SlotRecorder()
        self.store = RedisStore(line, StoreOptions(), clock, self.recorder, name)
        self.reader = RedisStore(server, StoreOptions(), clock, SlotRecorder(), name)
        with (folder / name).open("r+b") as file:
            self.truth = mmap.mmap(file.fileno(), 32)
        self.booked = [0, 0]
        self.token: int | None = None
        self.counts, self.ledger, self.read_wall_s = Counts(), Ledger([SPEND]), 0.0

    @property
    def is_quiet(self) -> bool:
        return (self.folder / "quiet").exists()

    async def book(self) -> None:
        while not self.is_quiet:
            for _ in range(self.draw.randint(1, 8)):
                usd, late_s = self.draw.randint(1, 10**9), self.draw.random() < 0.05 and self.draw.uniform(0, 7200.0)
                self.booked = [self.booked[0] + 1, self.booked[1] + usd]
                self.truth[:16] = struct.pack("qq", *self.booked)
                entries = [("n", 1), ("usd", usd), ("req", 1), (f"own.{self.name}.n", 1), (f"own.{self.name}.usd", usd)]
                self.recorder.book(entries, self.clock.wall_s() - late_s)
            await asyncio.sleep(BOOK_EVERY_S)

    async def flush(self) -> None:
        while True:
            was_quiet, before = self.is_quiet, list(self.booked)
            with suppress(StoreAway):
                await self.store.flush()
                self.truth[16:] = struct.pack("qq", *before)
                if was_quiet:
                    self.say(f"{self.name}.done", [self.store.health.rollbacks, self.store.health.lost_batches])
            await asyncio.sleep(FLUSH_EVERY_S)

    async def lead(self) -> None:
        while True:
            if (self.folder / "leads").exists():
                with suppress(StoreAway):
                    await self.tick()
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """Do what `Upkeep.govern` does with the counts."""
        token = await self.reader.lead(3 * TICK_S * self.clock.speed)
        is_new, self.token = token != self.token, None
        if token is None:
            return
        wall_s = self.clock.wall_s()
        fresh = self.counts.update(await self.reader.slots(0.0 if is_new else self.read_wall_s))
        self.read_wall_s, self.token = wall_s, token  # Else the next tick sums everything anew.
        self.ledger.take(fresh, self.counts, wall_s, is_first=is_new)
        account = self.ledger.accounts[SPEND.id]
        self.say("account", {"token": token, "n": account.valid, "usd": account.bad})

    def say(self, file: str, told: Any) -> None:
        """Write a file as a whole: somebody reads it meanwhile."""
        part = self.folder / f"{self.name}.part"
        part.write_text(json.dumps(told))
        part.rename(self.folder / file)

    async def live(self) -> None:
        async with asyncio.TaskGroup() as group:
            for duty in (self.book, self.flush, self.lead):
                group.create_task(duty())


if __name__ == "__main__":
    line, server, folder, name, speed, mono_0, wall_0 = sys.argv[1:]
    clock = SystemClock(float(speed))
    clock._mono_0, clock._wall_0 = float(mono_0), float(wall_0)  # All processes share one fast clock.
    asyncio.run(Bookkeeper(line, server, Path(folder), name, clock).live())
