"""Verdicts move the quality budget: of whichever process, once per request, for who asked."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gateway.edges.store import embedded
from gateway.edges.store.options import StoreOptions
from tests.integration.process.conftest import HELLO

SLOS = "slos:\n  - {name: quality, sli: quality, objective: 0.8, window: 28d}\n"


def with_quality(yaml: str) -> str:
    return yaml.replace("slos:\n", SLOS).replace("priority: [availability, spend]", "priority: [availability, spend, quality]")


async def judge(gateway: Any, request_id: str, verdict: str = "bad", key: str = "", **more: Any) -> bool:
    body = {"request_id": request_id, "verdict": verdict, **more}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with gateway.session.post(f"{gateway.url}/v1/feedback", json=body, headers=headers) as response:
        assert response.status == 202
        return bool((await response.json())["counts"])


def quality(state: Any) -> Any:
    return next(b for b in state["board"]["budgets"] if b["slo"] == "quality")


async def test_a_verdict_counts_once_by_its_weight_also_after_a_restart(prepared: Any) -> None:
    prepared.config.write_text(with_quality(prepared.yaml))
    await prepared.start()
    ids = []
    for _ in range(5):
        assert (await prepared.ask()).is_whole
        ids.append((await prepared.state())["worker"]["decisions"][0]["request_id"])
    assert len(set(ids)) == 5
    assert [await judge(prepared, i) for i in ids[:2]] == [True, True]
    assert await judge(prepared, ids[2], "good", propensity=0.25)
    assert await judge(prepared, ids[0], "good")  # A change of mind replaces what is kept and is not counted again.
    assert not await judge(prepared, "req_" + "1" * 24)
    shown = quality(await prepared.until(lambda s: quality(s)["evidence"] == 3))
    assert (shown["bad"], shown["valid"], shown["remaining"]) == (2.0, 6.0, None)
    assert 0.0 < shown["predicted"] < 1.0

    assert await prepared.process.stop() == 0
    await prepared.start()
    assert await judge(prepared, ids[3]) and await judge(prepared, ids[0]) and await judge(prepared, ids[1], "good")
    shown = quality(await prepared.until(lambda s: quality(s)["evidence"] == 4))
    assert (shown["bad"], shown["valid"]) == (3.0, 7.0)


@pytest.fixture
async def pair(folder: Path, engines: dict[str, Any], gateway_class: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Two gateways with a quality budget on one store."""
    server = await embedded.start(StoreOptions(directory=str(folder / "s")))
    made = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        one = gateway_class(folder / name, {n: b.base_url for n, b in engines.items()}, store=f'url: "{server.url}"')
        tenants = "".join(f'  - {{name: {t}, class: standard, keys: ["{digest_of(t)}"]}}\n' for t in ("ours", "theirs"))
        text = with_quality(one.config.read_text()).replace("tenants:\n", "tenants:\n" + tenants)
        one.config.write_text(text)
        made.append(one)
    await asyncio.gather(*(one.start() for one in made))
    yield made[0], made[1]
    for one in made:
        await one.close()
    await server.stop()


def digest_of(tenant: str) -> str:
    return "sha256:" + sha256(f"sk-{tenant}".encode()).hexdigest()


async def test_a_verdict_counts_at_another_replica_for_who_asked_and_for_nobody_else(pair: tuple[Any, Any]) -> None:
    a, b = pair
    ids = []
    for _ in range(2):
        headers = {"authorization": "Bearer sk-ours"}
        body = {"model": "auto", "messages": HELLO, "max_tokens": 2}
        async with a.session.post(f"{a.url}/v1/chat/completions", json=body, headers=headers) as response:
            assert response.status == 200
            ids.append(response.headers["x-request-id"])
    assert not await judge(b, ids[0], key="sk-theirs") and not await judge(b, ids[0])
    assert await judge(b, ids[0], key="sk-ours"), "a stranger's word takes nobody's place"
    assert await judge(b, ids[1], key="sk-ours")
    await b.until(lambda s: quality(s)["evidence"] == 2)  # The first one that the store hears of counts, so that one has to be there.
    assert await judge(a, ids[1], "good", key="sk-ours")
    for one in pair:
        shown = quality(await one.until(lambda s: quality(s)["evidence"] == 2))
        assert (shown["bad"], shown["valid"]) == (2.0, 2.0)
