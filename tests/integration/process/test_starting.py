"""Starts that cannot be: one clear line (a line for each mistake of a configuration), exit status 2, and nothing left behind."""

import asyncio
from pathlib import Path
from typing import Any

import pytest


def only_line(refusal: Any) -> str:
    """Return the one line that was said."""
    assert refusal.status == 2, refusal.errors
    assert "Traceback" not in refusal.errors
    (line,) = refusal.said
    return str(line)


async def test_a_second_gateway_on_the_same_state_directory_is_refused_and_the_first_goes_on(gateway: Any, folder: Path) -> None:
    second = folder / "second.yaml"
    second.write_text(gateway.yaml.replace(gateway.data, "127.0.0.1:0").replace(gateway.admin, "127.0.0.1:1"))
    line = only_line(await gateway.refused(second))
    assert f"another gateway (process {gateway.process.pid}) uses store.directory" in line
    assert "redis://" in line, "the way out"
    assert (await gateway.ask()).is_whole


@pytest.mark.parametrize("which", ["data", "admin"])
async def test_a_busy_port_is_said_in_one_line_and_the_store_does_not_stay(prepared: Any, which: str) -> None:
    address = getattr(prepared, which)
    server = await asyncio.start_server(lambda *_: None, *address.split(":"))
    line = only_line(await prepared.refused())
    key = {"data": "server.listen", "admin": "admin.listen"}[which]
    assert line == f"sluice: {key} {address}: Address already in use; stop what uses it, or change the address"
    assert not prepared.pids()
    server.close()
    await server.wait_closed()
    await prepared.start()
    assert (await prepared.ask()).is_whole


async def test_every_mistake_of_a_configuration_gets_its_line(prepared: Any) -> None:
    prepared.config.write_text(prepared.yaml.replace("objective: 0.99,", "objectve: 0.99,").replace("tick: 300ms", "tick: 300"))
    refusal = await prepared.refused()
    assert refusal.status == 2
    assert len(refusal.said) >= 2
    assert all(line.startswith(f"{prepared.config}:") for line in refusal.said)
    assert any("did you mean 'objective'?" in line for line in refusal.said)


async def test_a_secret_that_is_not_set_is_named(prepared: Any) -> None:
    prepared.config.write_text(prepared.yaml.replace("auth: none", 'auth: none\nmode: "${SLUICE_TEST_NOT_SET}"'))
    assert "SLUICE_TEST_NOT_SET" in only_line(await prepared.refused())


async def test_a_router_that_cannot_be_loaded_is_no_reason_not_to_start(prepared: Any) -> None:
    prepared.config.write_text(prepared.yaml.replace("artifact: constant", "artifact: /nowhere/at/all"))
    await prepared.start()
    assert "/nowhere/at/all" in (await prepared.state())["worker"]["routers"]["auto"]
    assert (await prepared.ask()).is_whole


@pytest.mark.parametrize("kind", ["a file", "too deep"])
async def test_a_state_directory_that_cannot_be_used_is_said_in_one_line(prepared: Any, folder: Path, kind: str) -> None:
    directory = folder / "occupied" if kind == "a file" else folder / ("d" * 100)
    if kind == "a file":
        directory.write_text("")
    prepared.config.write_text(prepared.yaml.replace(f"{folder}/state", str(directory)))
    line = only_line(await prepared.refused())
    assert f"store.directory {directory}" in line


async def test_a_gateway_starts_without_its_backends_and_serves_when_they_come(prepared: Any, engines: Any) -> None:
    from load.backend import start

    ports = {name: engine.port for name, engine in engines.items()}
    for engine in engines.values():
        await engine.close()
    await prepared.start()
    assert (await prepared.ask()).status in (502, 503)
    for name, port in ports.items():
        engines[name] = await start(port=port, model=name, output_tokens_mean=20_000)
    await prepared.until(lambda state: all(b["breaker"] != "open" for b in state["local"]["backends"]), within_s=6)
    assert (await prepared.ask()).is_whole


async def test_a_gateway_starts_while_a_store_of_its_own_address_is_away_and_counts_when_it_comes(prepared: Any, folder: Path) -> None:
    """Not embedded: an address at which nobody answers yet."""
    socket = folder / "later.sock"
    prepared.config.write_text(prepared.yaml.replace("url: embedded", f'url: "unix://{socket}"'))
    await prepared.start()
    for _ in range(5):
        assert (await prepared.ask()).is_whole
    store = (await prepared.state())["worker"]["store"]
    assert store["is_away"]
    assert str(socket) in store["last_error"]

    from gateway.edges.store import binary

    words = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder), "--loglevel", "warning")
    server = await asyncio.create_subprocess_exec(str(binary.find()), *words, stdout=asyncio.subprocess.DEVNULL)
    try:
        await prepared.until_counted(5)
        assert not (await prepared.state())["worker"]["store"]["is_away"]
        await prepared.process.stop()
    finally:
        server.kill()
        await server.wait()
