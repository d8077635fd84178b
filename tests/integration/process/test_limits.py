"""Hard limits in real gateways: two of them share what a tenant may use, a restart does not fill it, and a frozen store holds nobody up."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gateway.edges.store import embedded
from gateway.edges.store.options import StoreOptions
from tests.integration.process.conftest import HELLO, Gateway

KEYS = {"few": "sk-few", "many": "sk-many", "single": "sk-single"}
TENANTS = """
  - {{name: few, class: standard, keys: ["{few}"], limits: {{rpm: 6}}}}
  - {{name: many, class: standard, keys: ["{many}"], limits: {{rpm: 6000, tpm: 10000000, usd_per_day: 1000}}, may: [choose_model]}}
  - {{name: single, class: standard, keys: ["{single}"], model_limits: [{{model: strong, rpm: 1}}], may: [choose_model]}}
"""


def limited(gateway: Gateway) -> Gateway:
    """Give a gateway that is not started yet tenants with limits."""
    digests = {name: "sha256:" + sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
    yaml = gateway.config.read_text().replace("tenants:\n", "tenants:" + TENANTS.format(**digests), 1)
    gateway.config.write_text(yaml)
    return gateway


async def ask(gateway: Gateway, tenant: str | None, model: str = "auto") -> tuple[int, dict[str, str], float]:
    """Return status, headers and seconds of one call."""
    headers = {"authorization": f"Bearer {KEYS[tenant]}"} if tenant else {}
    began_s = time.monotonic()
    body = {"model": model, "messages": HELLO, "max_tokens": 2}
    async with gateway.session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as response:
        await response.read()
        return response.status, {k.lower(): v for k, v in response.headers.items()}, time.monotonic() - began_s


async def limit_metrics(gateway: Gateway, tenant: str) -> dict[str, float]:
    """Return the samples on one tenant's requests, by their names."""
    async with gateway.session.get(f"http://{gateway.admin}/metrics") as response:
        lines = (await response.text()).splitlines()
    who = f'{{tenant="{tenant}",scope="tenant",kind="requests"}} '
    return {name: float(value) for name, found, value in (line.partition(who) for line in lines) if found}


@pytest.fixture
async def pair(tmp_path: Path, folder: Path, engines: Any) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two gateways on one store."""
    server = await embedded.start(StoreOptions(directory=str(folder / "shared")))
    made = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        one = limited(Gateway(folder / name, {n: b.base_url for n, b in engines.items()}))
        one.config.write_text(one.config.read_text().replace("url: embedded", f'url: "{server.url}"'))
        made.append(one)
    for one in made:
        await one.start()
    yield made[0], made[1]
    for one in made:
        await one.close()
    await server.stop()


async def test_two_gateways_share_a_limit_to_the_last_request_and_a_restart_does_not_fill_it(pair: tuple[Gateway, Gateway]) -> None:
    a, b = pair
    began_s = time.monotonic()
    answers = [await ask(one, "few") for _ in range(6) for one in pair]
    served = [status for status, _, _ in answers].count(200)
    assert 6 <= served <= 6 + (time.monotonic() - began_s) / 10
    assert {status for status, _, _ in answers} == {200, 429}
    first, last = answers[0][1], answers[-1][1]
    assert (first["x-ratelimit-limit-requests"], first["x-ratelimit-remaining-requests"]) == ("6", "5")
    assert last["x-ratelimit-remaining-requests"] == "0" and last["x-ratelimit-reset-requests"].endswith("s")
    assert 0 < float(last["retry-after-ms"]) <= 10_000
    told = [await limit_metrics(one, "few") for one in pair]
    assert sum(t["sluice_tenant_limit_refusals_total"] for t in told) == 12 - served
    assert sum(t["sluice_tenant_limit_used_total"] for t in told) == served
    assert all(t["sluice_tenant_limit"] == 6 and t["sluice_tenant_limit_remaining"] < 1 for t in told)
    await a.process.stop()
    await a.start()
    served += (await ask(a, "few"))[0] == 200
    assert served <= 6 + (time.monotonic() - began_s) / 10
    assert (await ask(b, None))[0] == 200 and "x-ratelimit-limit-requests" not in (await ask(b, None))[1]


async def test_a_models_own_limit_leads_to_the_other_model_or_refuses_who_named_it(prepared: Gateway) -> None:
    gateway = limited(prepared)
    await gateway.start()
    assert (await ask(gateway, "single", "strong"))[1]["x-sluice-model"] == "strong"
    status, headers, _ = await ask(gateway, "single", "strong")
    assert (status, headers["x-ratelimit-limit-requests"]) == (429, "1")
    for _ in range(4):
        assert (await ask(gateway, "single"))[1]["x-sluice-model"] == "weak"


async def test_a_frozen_store_costs_a_limited_tenant_one_wait_of_50_ms_and_others_nothing(prepared: Gateway) -> None:
    gateway = limited(prepared)
    await gateway.start()
    took: dict[str | None, list[float]] = {"many": [], None: []}
    statuses: list[int] = []

    async def keep_asking(tenant: str | None, until_s: float) -> None:
        while time.monotonic() < until_s:
            status, _, seconds = await ask(gateway, tenant)
            statuses.append(status)
            took[tenant].append(seconds)

    async def load(seconds: float) -> dict[str | None, float]:
        for some in took.values():
            some.clear()
        until_s = time.monotonic() + seconds
        await asyncio.gather(*(keep_asking(tenant, until_s) for tenant in ("many", None) for _ in range(2)))
        return {tenant: max(some) for tenant, some in took.items()}

    await load(1.0)
    before = await load(2.0)
    pid = gateway.store_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        while_frozen = await load(2.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert set(statuses) == {200}
    noise_s = 0.1  # of a machine with other work: this is about a wait without end, not about milliseconds
    assert while_frozen[None] <= before[None] + noise_s
    assert while_frozen["many"] <= before["many"] + 0.05 + noise_s
    state = await gateway.until(lambda s: "refill" not in s["worker"]["duties"])
    assert state
    assert (await ask(gateway, "many"))[0] == 200
