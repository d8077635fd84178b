"""One process's life without the process: a worker on a store in memory, in this test's own loop."""

import asyncio
import errno
import json

import aiohttp
import pytest

from gateway.config.errors import ConfigErrors
from gateway.edges.chance import SystemChance
from gateway.edges.clock import SystemClock
from gateway.process.worker import StartError, Worker, _ending, address, busy
from gateway.upkeep import Duty

TEXT = """
auth: none
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:PORT", token: admin-secret}
store: {url: memory}
models:
  - name: strong
    tariff: {input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}
    context_tokens: 128000
    backends: [{url: "http://127.0.0.1:1/v1", model: m}]
  - name: weak
    tariff: {input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}
    context_tokens: 32000
    backends: [{url: "http://127.0.0.1:2/v1", model: m}]
routes: [{name: auto, models: [strong, weak]}]
slos: [{name: spend, sli: {kind: cost, usd: 10}, period: calendar-day}]
classes: [{name: standard, value: 3, ttft_deadline: 30s}]
"""


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture
async def serving(tmp_path, free_port):
    """A started worker with its addresses; stopped at the end."""
    path = tmp_path / "sluice.yaml"
    path.write_text(TEXT.replace("PORT", str(free_port)))
    worker, stop = Worker(str(path), {}, SystemClock(), SystemChance()), asyncio.Event()
    url = await worker.start()
    serve = asyncio.create_task(worker.serve(stop))
    yield worker, url, f"http://127.0.0.1:{free_port}", path
    stop.set()
    await asyncio.wait_for(serve, 10)


async def state(admin: str) -> dict:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{admin}/admin/state", headers={"Authorization": "Bearer admin-secret"}) as said,
    ):
        return json.loads(await said.read())


async def test_a_worker_has_prices_before_its_first_request_and_shows_them(serving):
    _, url, admin, _ = serving
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health/readiness") as said:
        assert said.status == 200
    shown = await state(admin)
    assert shown["board"]["budgets"][0]["slo"] == "spend"
    assert shown["local"]["prices_version"] >= 1 and not shown["local"]["is_stale"]
    assert shown["worker"]["config"]["errors"] == [] and shown["worker"]["routers"] == {"auto": None}


async def test_an_edit_swaps_the_runtime_and_an_invalid_one_changes_nothing(serving):
    worker, _, admin, path = serving
    first = worker.runtime
    worker.swap(path.read_bytes().replace(b"usd: 10}", b"usd: 20}"))
    assert worker.runtime is not first and worker.runtime.generation == 2
    second = worker.runtime
    worker.swap(b"modle: enforce\n")
    assert worker.runtime is second
    shown = await state(admin)
    assert any("modle: unknown key" in line for line in shown["worker"]["config"]["errors"])
    worker.swap(path.read_bytes())
    assert (await state(admin))["worker"]["config"]["errors"] == []


async def test_what_needs_a_restart_is_said(serving):
    worker, _, admin, path = serving
    worker.swap(path.read_bytes().replace(b'"127.0.0.1:0"', b'"127.0.0.1:8199"'))
    assert (await state(admin))["worker"]["config"]["notes"] == ["server.listen was changed: that takes effect at the next start"]


async def test_a_pin_acts_at_once_and_an_unknown_route_is_refused(serving):
    worker, _, admin, _ = serving
    await worker.override({"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 60.0, "by": "me"})
    assert (await state(admin))["local"]["overrides"]["pins"][0]["threshold"] == 0.3
    with pytest.raises(ValueError, match="there are auto"):
        await worker.override({"verb": "pin", "route": "nope", "threshold": 0.3, "for_s": 60.0, "by": "me"})


async def test_metrics_are_rendered_from_the_same_state(serving):
    worker, *_ = serving
    text = worker.metrics_text()
    assert 'sluice_alpha_ref{route="auto"}' in text or "sluice_alpha_ref" in text
    assert "admin-secret" not in text


async def test_a_busy_port_is_one_line_and_leaves_nothing_open(serving, tmp_path, free_port):
    _, _, _, path = serving
    second = Worker(str(path), {}, SystemClock(), SystemChance())
    with pytest.raises(StartError, match=rf"admin.listen 127.0.0.1:{free_port}: .*in use"):
        await second.start()


async def test_a_wrong_configuration_does_not_start(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("modle: enforce\n")
    with pytest.raises(ConfigErrors):
        await Worker(str(path), {}, SystemClock(), SystemChance()).start()


def test_addresses_are_split_at_the_last_colon():
    assert address("127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert address("[::1]:8080") == ("::1", 8080)


def test_a_busy_address_says_what_to_do():
    assert str(busy("server.listen", "a:1", OSError(errno.EADDRINUSE, "x"))) == (
        "server.listen a:1: Address already in use; stop what uses it, or change the address"
    )


async def test_a_file_that_cannot_be_read_is_shown_as_long_as_that_is_so(serving):
    _, _, admin, path = serving
    path.rename(path.with_suffix(".away"))
    while not (said := (await state(admin))["worker"]["config"]["errors"]):
        await asyncio.sleep(0.01)
    assert "cannot be read" in said[0]
    path.with_suffix(".away").rename(path)
    while (await state(admin))["worker"]["config"]["errors"]:
        await asyncio.sleep(0.01)


async def test_a_changed_token_is_in_force_with_the_edit(serving):
    worker, _, _, path = serving
    assert worker.token() == "admin-secret"
    worker.swap(path.read_bytes().replace(b"admin-secret", b"another-secret"))
    assert worker.token() == "another-secret"


async def test_a_stop_that_comes_before_the_first_duty_ends_it_too(tmp_path, free_port):
    path, stop = tmp_path / "sluice.yaml", asyncio.Event()
    path.write_text(TEXT.replace("PORT", str(free_port)))
    worker = Worker(str(path), {}, SystemClock(), SystemChance())
    await worker.start()
    stop.set()
    await asyncio.wait_for(worker.serve(stop), 5)


async def test_a_duty_whose_cancellation_was_swallowed_ends_all_the_same():
    began = asyncio.Event()

    async def swallows() -> None:
        began.set()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            pass

    async def repeat(duty: Duty) -> None:
        while True:
            await duty.round()

    task = asyncio.create_task(repeat(_ending(Duty("d", lambda: 0.0, swallows))))
    await began.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=1)
    assert done and task.cancelled()


async def test_a_duty_that_fails_while_it_is_cancelled_ends_and_one_that_just_fails_says_why():
    async def fails() -> None:
        try:
            await asyncio.sleep(0.01)
        finally:
            raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await _ending(Duty("d", lambda: 0.0, fails)).round()
    task = asyncio.create_task(_ending(Duty("d", lambda: 0.0, fails)).round())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
