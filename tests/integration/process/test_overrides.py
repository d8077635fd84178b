"""Pins, freezes and their end by the command line's verbs, on a gateway that runs."""

import asyncio
import sys
from typing import Any


async def sluice(gateway: Any, *words: str) -> tuple[int, str]:
    """Run a verb; return its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *words, "--config", str(gateway.config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode().strip()


async def models(gateway: Any, number: int = 12) -> set[str]:
    return {asked.model for asked in await asyncio.gather(*(gateway.ask() for _ in range(number)))}


async def test_a_pin_decides_at_once_survives_a_restart_and_is_taken_back(gateway: Any) -> None:
    assert await sluice(gateway, "pin", "auto", "--threshold", "0", "--for", "1h") == (0, "route auto is held at threshold 0 for 1h")
    assert await models(gateway) == {"strong"}
    (pin,) = (await gateway.state())["local"]["overrides"]["pins"]
    assert (pin["route"], pin["threshold"]) == ("auto", 0.0)
    assert pin["by"]
    await gateway.process.stop()
    await gateway.start()
    assert await models(gateway) == {"strong"}, "in the store, not in the process"
    assert (await sluice(gateway, "pin", "auto", "--threshold", "1", "--for", "1h"))[0] == 0
    assert await models(gateway) == {"weak"}
    assert await sluice(gateway, "unpin", "auto") == (0, "route auto is not pinned")
    assert (await gateway.state())["local"]["overrides"]["pins"] == []
    assert gateway.decisions()[-1]["pin"] == 1.0, "the decision log says so"


async def test_a_pin_ends_by_itself(gateway: Any) -> None:
    assert await models(gateway) == {"strong"}, "the budget is large"
    assert (await sluice(gateway, "pin", "auto", "--threshold", "1", "--for", "2s"))[0] == 0
    assert await models(gateway) == {"weak"}
    await gateway.until(lambda state: not state["local"]["overrides"]["pins"], within_s=5)
    assert await models(gateway) == {"strong"}


async def test_a_freeze_holds_the_prices_until_it_is_taken_back(prepared: Any) -> None:
    prepared.config.write_text(prepared.yaml.replace("usd: 1000", "usd: 0.0001"))
    await prepared.start()

    def price(state: Any) -> float:
        return float(next(b["price"] for b in state["board"]["budgets"] if b["slo"] == "spend"))

    assert (await sluice(prepared, "freeze", "--for", "10m"))[0] == 0
    frozen = (await prepared.state())["local"]["overrides"]
    assert frozen["frozen_until_wall_s"] > (await prepared.state())["wall_s"] + 590
    assert frozen["frozen_by"]
    await asyncio.sleep(0.4)
    held = price(await prepared.state())
    async with prepared.traffic(50) as traffic:
        await asyncio.sleep(1.5)
    await prepared.until_counted(len(traffic.asked))
    await asyncio.sleep(0.4)
    assert price(await prepared.state()) == held, "spent many times over, and frozen"
    assert (await sluice(prepared, "unpin", "--all"))[0] == 0
    async with prepared.traffic(50):
        await prepared.until(lambda state: price(state) > held)


async def test_what_cannot_be_done_is_said_and_changes_nothing(gateway: Any) -> None:
    status, said = await sluice(gateway, "pin", "atuo", "--threshold", "0", "--for", "1h")
    assert status == 1
    assert "there is no route 'atuo'; there are auto" in said
    assert (await gateway.state())["local"]["overrides"]["pins"] == []
    await gateway.process.stop()
    status, said = await sluice(gateway, "pin", "auto", "--threshold", "0", "--for", "1h")
    assert status == 2
    assert "is the gateway running?" in said
