"""The configuration is edited while requests run: swapped within a second, no stream dropped, counts kept; mistakes change nothing."""

import asyncio
import time
from pathlib import Path
from typing import Any

SWAP_S = 1.0


def generation(state: Any) -> int:
    return int(state["worker"]["config"]["generation"])


async def test_an_edit_is_in_force_within_a_second_while_streams_run_and_counts_stay(gateway: Any) -> None:
    await asyncio.gather(*(gateway.ask() for _ in range(20)))
    await gateway.until_counted(20)
    stream = asyncio.ensure_future(gateway.ask("weak", stream=True, max_tokens=60))
    async with gateway.traffic(40, stream=True) as traffic:
        await asyncio.sleep(0.3)
        assert (await gateway.ask("new")).status == 404
        gateway.config.write_text(gateway.yaml.replace("slos:", "  - {name: new, models: [weak]}\nslos:"))
        edited_s = time.monotonic()
        while (await gateway.ask("new")).status == 404:
            assert time.monotonic() - edited_s < SWAP_S
            await asyncio.sleep(0.02)
        assert time.monotonic() - edited_s < SWAP_S
        await asyncio.sleep(0.3)
    assert (await stream).is_whole
    assert not traffic.failed
    served = sum(d["reason"] == "served" for d in (await finished(gateway)))
    assert served > 20 + len(traffic.asked)
    books = await gateway.until_counted(served)
    assert books["settled"] == served, "the old budget with its old counts"


async def finished(gateway: Any) -> Any:
    """Wait until the decision log has been written; return its decisions."""
    await gateway.until(lambda state: state["worker"]["decision_log"]["waiting"] == 0 and state["worker"]["in_flight"] == 0)
    return gateway.decisions()


async def test_an_edited_objective_keeps_its_counts_and_an_edited_sli_starts_anew(gateway: Any) -> None:
    await asyncio.gather(*(gateway.ask() for _ in range(10)))
    await gateway.until_counted(10)
    gateway.config.write_text(gateway.yaml.replace("objective: 0.99,", "objective: 0.95,").replace("usd: 1000", "usd: 2000"))

    def samples(state: Any) -> dict[str, tuple[float, float]]:
        return {b["slo"]: (b["objective"], b["samples"]) for b in state["board"]["budgets"]}

    state = await gateway.until(lambda state: samples(state)["availability"][0] == 0.95)
    assert samples(state)["availability"] == (0.95, 10)
    assert samples(state)["spend"][1] == 10


async def test_an_invalid_edit_changes_nothing_and_is_shown_until_it_is_mended(gateway: Any) -> None:
    wrong = gateway.yaml.replace("objective: 0.99,", "objectve: 0.99,").replace("models: [strong, weak]", "models: [strong, waek]")
    async with gateway.traffic(20) as traffic:
        gateway.config.write_text(wrong)
        state = await gateway.until(lambda state: state["worker"]["config"]["errors"], within_s=SWAP_S)
        assert generation(state) == 1
        errors = state["worker"]["config"]["errors"]
        assert len(errors) >= 2
        assert any("did you mean 'objective'?" in line for line in errors)
        assert any("waek" in line for line in errors)
        await asyncio.sleep(0.3)
        gateway.config.write_text(gateway.yaml)
        mended = await gateway.until(lambda state: not state["worker"]["config"]["errors"], within_s=SWAP_S)
    assert not traffic.failed
    assert generation(mended) == 2
    assert "sluice_config" in await metrics(gateway)


async def metrics(gateway: Any) -> str:
    async with gateway.session.get(f"http://{gateway.admin}/metrics") as response:
        return str(await response.text())


async def test_a_file_written_in_two_halves_is_taken_once_it_is_whole(gateway: Any) -> None:
    whole = gateway.yaml.replace("slos:", "  - {name: new, models: [weak]}\nslos:")
    async with gateway.traffic(20) as traffic:
        with gateway.config.open("w") as file:
            file.write(whole[: len(whole) // 2])
            file.flush()
            await asyncio.sleep(0.7)
            state = await gateway.state()
            assert generation(state) == 1
            assert state["worker"]["config"]["errors"], "half a file is a mistake like any other"
            file.write(whole[len(whole) // 2 :])
        state = await gateway.until(lambda state: generation(state) == 2, within_s=SWAP_S)
    assert not state["worker"]["config"]["errors"]
    assert not traffic.failed
    assert (await gateway.ask("new")).is_whole


async def test_the_swapped_symlink_of_a_config_map_is_seen(prepared: Any, folder: Path) -> None:
    for number, yaml in enumerate((prepared.yaml, prepared.yaml.replace("slos:", "  - {name: new, models: [weak]}\nslos:"))):
        version = folder / f"..version{number}"
        version.mkdir()
        (version / "sluice.yaml").write_text(yaml)
    (folder / "..data").symlink_to("..version0")
    prepared.config.unlink()
    prepared.config.symlink_to("..data/sluice.yaml")
    await prepared.start()
    (folder / "..data_tmp").symlink_to("..version1")
    (folder / "..data_tmp").replace(folder / "..data")
    await prepared.until(lambda state: generation(state) == 2, within_s=SWAP_S)
    assert (await prepared.ask("new")).is_whole


async def test_a_file_that_is_gone_is_shown_and_the_old_configuration_stays(gateway: Any) -> None:
    gateway.config.unlink()
    state = await gateway.until(lambda state: state["worker"]["config"]["errors"], within_s=SWAP_S)
    assert "cannot be read" in state["worker"]["config"]["errors"][0]
    assert (await gateway.ask()).is_whole
    gateway.config.write_text(gateway.yaml)
    state = await gateway.until(lambda state: not state["worker"]["config"]["errors"], within_s=SWAP_S)
    assert generation(state) == 1, "it is what it was"


async def test_a_changed_secret_file_is_a_change(prepared: Any, folder: Path) -> None:
    token = folder / "admin-token"
    token.write_text("first")
    prepared.config.write_text(
        prepared.yaml.replace(
            f'admin: {{listen: "{prepared.admin}"}}', f'admin: {{listen: "{prepared.admin}", token: "${{file:{token}}}"}}'
        )
    )
    await prepared.start()

    async def status(key: str) -> int:
        async with prepared.session.get(f"http://{prepared.admin}/admin/state", headers={"authorization": f"Bearer {key}"}) as response:
            return int(response.status)

    assert (await status("first"), await status("second")) == (200, 401)
    token.write_text("second")
    edited_s = time.monotonic()
    while await status("second") != 200:
        assert time.monotonic() - edited_s < SWAP_S
        await asyncio.sleep(0.02)
    assert await status("first") == 401


async def test_what_needs_a_restart_is_said_and_the_rest_of_the_edit_is_in_force(gateway: Any) -> None:
    gateway.config.write_text(gateway.yaml.replace(gateway.data, "127.0.0.1:9").replace("slos:", "  - {name: new, models: [weak]}\nslos:"))
    state = await gateway.until(lambda state: generation(state) == 2, within_s=SWAP_S)
    assert any("server.listen was changed" in note for note in state["worker"]["config"]["notes"])
    assert (await gateway.ask("new")).is_whole, "still at the old address"


async def test_twenty_edits_under_load_drop_nothing_and_leave_the_last_one_in_force(gateway: Any) -> None:
    async with gateway.traffic(40, stream=True, max_tokens=8) as traffic:
        for number in range(20):
            fresh = gateway.config.with_suffix(".new")
            fresh.write_text(gateway.yaml.replace("slos:", f"  - {{name: new{number}, models: [weak]}}\nslos:"))
            fresh.replace(gateway.config)
            await asyncio.sleep(0.1)
        await gateway.until(lambda state: not state["worker"]["config"]["errors"], within_s=SWAP_S)
        await asyncio.sleep(SWAP_S / 2)
        assert (await gateway.ask("new19")).is_whole
        assert (await gateway.ask("new18")).status == 404
    assert not traffic.failed
