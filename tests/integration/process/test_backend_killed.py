"""The strong model's server is killed in mid-run: the breaker opens, others answer, and it comes back after the repair."""

import asyncio
import signal
import time
from typing import Any

from load.processes import Child, free_addresses

RATE = 40.0


async def server(folder: Any, address: str) -> Child:
    words = ("load.backend", "--model", "strong", "--port", address.rpartition(":")[2], "--output-tokens-mean", "20000", "--guard")
    child = await Child.start("strong", words, folder / "strong.log")
    await child.ready("listening on ")
    return child


async def test_a_killed_backend_costs_almost_nobody_anything_and_gets_its_share_back(prepared: Any, engines: Any, folder: Any) -> None:
    (address,) = free_addresses(1)
    strong = await server(folder, address)
    prepared.config.write_text(prepared.yaml.replace(engines["strong"].base_url, f"http://{address}/v1"))
    await prepared.start()

    def breaker(state: Any) -> str:
        return str(state["local"]["backends"][0]["breaker"])

    async with prepared.traffic(RATE, max_tokens=4) as traffic:
        began_s = time.monotonic()
        await asyncio.sleep(1.5)
        strong.send(signal.SIGKILL)
        killed_s = time.monotonic()
        await strong.ended()
        await prepared.until(lambda state: breaker(state) == "open", within_s=2.0)
        opened_s = time.monotonic() - killed_s
        await asyncio.sleep(1.0)
        strong = await server(folder, address)
        repaired_s = time.monotonic()
        await prepared.until(lambda state: breaker(state) == "closed", within_s=30.0)
        closed_s = time.monotonic() - repaired_s
        await asyncio.sleep(1.5)
        ends_s = time.monotonic()
    await strong.stop()

    before, away = traffic.strong_share(began_s + 0.5, killed_s - 0.2), traffic.strong_share(killed_s + opened_s, repaired_s)
    after = traffic.strong_share(ends_s - 1.0, ends_s)
    print(
        f"breaker open after {opened_s:.2f} s, closed {closed_s:.2f} s after the repair; strong share {before:.2f}, {away:.2f}, {after:.2f}"
    )
    print(f"failed {len(traffic.failed)} of {len(traffic.asked)}")
    assert opened_s <= 2.0
    assert len(traffic.failed) <= 0.005 * len(traffic.asked), traffic.failed
    assert before > 0.2
    assert away == 0
    assert after >= 0.8 * before
