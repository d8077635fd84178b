"""Verdicts move the quality budget: of whichever process, once per request, for who asked."""

from typing import Any

SLOS = "slos:\n  - {name: quality, sli: quality, objective: 0.8, window: 28d}\n"


async def judge(gateway: Any, request_id: str, verdict: str = "bad", **more: Any) -> bool:
    body = {"request_id": request_id, "verdict": verdict, **more}
    async with gateway.session.post(f"{gateway.url}/v1/feedback", json=body) as response:
        assert response.status == 202
        return bool((await response.json())["counts"])


def quality(state: Any) -> Any:
    return next(b for b in state["board"]["budgets"] if b["slo"] == "quality")


async def test_a_verdict_counts_once_by_its_weight_also_after_a_restart(prepared: Any) -> None:
    edited = prepared.yaml.replace("slos:\n", SLOS).replace("priority: [availability, spend]", "priority: [availability, spend, quality]")
    prepared.config.write_text(edited)
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
