"""`make run`: gateway, embedded store, page and simulated backends, from nothing, in one command.

Started is what the configuration names: a simulated backend for every backend on this machine, the gateway with its store. All
are children guarded by a pipe (`load/processes.py`), so that nothing is left when this process ends, however it ends.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from gateway.config.errors import ConfigErrors
from gateway.config.load import Config
from gateway.config.load import load as load_config
from gateway.config.references import files_in
from load.arrivals import poisson
from load.client import Client, Pace, Request
from load.processes import Child, ChildRefused
from load.prompts import generated, padded

TOKEN_NAME = "admin-token"  # noqa: S105 - the name of a file
LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
PRESETS = ("h100", "small")
"""Engines of the best model and of all others: a 70B model on eight GPUs, an 8B model on one."""
OTHERS_WAIT_S = 3.0
"""After one child was refused: for the gateway to say what it has to say, which explains more than a busy port."""
TRAFFIC_RPS = 1.0
TRAFFIC_TOKENS = 400.0
STOP_WAIT_S = 8.0
"""For streams under way to end after Ctrl-C; nobody waits longer for a demo."""
USAGE = 2
Say = Callable[[str], None]


class DemoRefused(Exception):
    """The demo cannot start; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One backend to start."""

    model: str
    host: str
    port: int
    preset: str


async def demo(path: Path, has_traffic: bool, say: Say = lambda line: print(line, flush=True)) -> int:
    """Start everything, say where it is, and wait for SIGINT or SIGTERM; return the exit status.

    Args:
        path: the configuration, relative to the working directory.
        has_traffic: send a request now and then, so that budgets move.
    """
    began_s, stop = time.monotonic(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    children: list[Child] = []
    try:
        config = prepared(path)
        say(f"starting the gateway, its store and simulated backends with {path} ...")
        starting = asyncio.get_running_loop().create_task(_start(config, path, children, say))
        stopping = asyncio.get_running_loop().create_task(stop.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
            return 0
        starting.result()
        say(_welcome(config, path, time.monotonic() - began_s))
        return await _stay(config, children, stop, has_traffic, say)
    except ConfigErrors as exc:
        for error in exc.errors:
            print(error, file=sys.stderr)
        return USAGE
    except (DemoRefused, ChildRefused) as refused:
        print(f"demo: {refused}", file=sys.stderr)
        return USAGE
    finally:
        await _stop(children)


def prepared(path: Path) -> Config:
    """Read the configuration, and make the admin token that it names, if there is none yet.

    Raises: DemoRefused, ConfigErrors.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise DemoRefused(f"{path} cannot be read ({exc.strerror}): start it in the root of the repository, as `make run` does") from exc
    for named in map(Path, files_in(content)):
        if named.name == TOKEN_NAME:
            _make_token(named)
    config = load_config(path, os.environ, content)
    _make_directory(Path(config.store.directory))
    return config


def _make_directory(directory: Path) -> None:
    """Make the state directory, which takes our children's logs too. Raises: DemoRefused."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / "gateway.log").open("ab").close()
    except OSError as exc:
        raise DemoRefused(f"store.directory {directory.absolute()} cannot be written ({exc.strerror}): make it writable") from exc


def _make_token(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(secrets.token_urlsafe(18) + "\n")
    except OSError as exc:
        raise DemoRefused(
            f"{file.parent.absolute()} cannot be written ({exc.strerror}): make it writable, it keeps budgets and the admin token"
        ) from exc


def simulated(config: Config) -> list[Simulated]:
    """Return a backend for every one that the configuration expects on this machine."""
    found = []
    for rank, model in enumerate(config.catalog.models.values()):
        for backend in model.backends:
            parts = urlsplit(backend.url)
            if parts.scheme == "http" and parts.hostname in LOOPBACK and parts.port is not None:
                found.append(Simulated(backend.model, parts.hostname, parts.port, PRESETS[min(rank, 1)]))
    return found


async def _start(config: Config, path: Path, children: list[Child], say: Say) -> None:
    """Start all children side by side. Raises: ChildRefused, of the one whose words help most."""
    directory = Path(config.store.directory)

    async def begin(name: str, words: Sequence[str], ready: str) -> None:
        child = await Child.start(name, words, directory / f"{name.split(maxsplit=1)[0]}.log")
        children.append(child)
        await child.ready(ready)
        say(f"  {name} is ready")

    gateway = asyncio.create_task(begin("gateway with store and page", ("gateway", "serve", "--config", str(path), "--guard"), "ready "))
    backends = [asyncio.create_task(begin(*_words(each), "listening on")) for each in simulated(config)]
    try:
        done, _ = await asyncio.wait((gateway, *backends), return_when=asyncio.FIRST_EXCEPTION)
        if any(task.exception() for task in done):
            await asyncio.wait((gateway,), timeout=OTHERS_WAIT_S)
        for task in (gateway, *backends):
            if task.done():
                task.result()
    finally:
        for task in (gateway, *backends):
            task.cancel()
        await asyncio.wait((gateway, *backends))


def _words(each: Simulated) -> tuple[str, tuple[str, ...]]:
    words = ("load.backend", "--host", each.host, "--port", str(each.port), "--model", each.model, "--preset", each.preset, "--guard")
    return f"backend-{each.model} (simulated, port {each.port})", words


async def _stay(config: Config, children: Sequence[Child], stop: asyncio.Event, has_traffic: bool, say: Say) -> int:
    """Wait for the end: ours, or a child's, which is an error."""
    loop = asyncio.get_running_loop()
    stopping = loop.create_task(stop.wait())
    ending = {loop.create_task(child.ended()): child for child in children}
    sending = loop.create_task(_send(config, say)) if has_traffic else None
    done, _ = await asyncio.wait((stopping, *ending), return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, sending, *ending):
        if task is not None:
            task.cancel()
    if stopping in done:
        say("\nstopping ...")
        return 0
    gone = next(child for task, child in ending.items() if task in done)
    raise DemoRefused(f"{gone.name} ended by itself (status {gone.status}); see {config.store.directory}/*.log")


async def _stop(children: Sequence[Child]) -> None:
    """Stop the gateway first, so that it drains while its backends still answer, then the others."""
    gateways = [child for child in children if child.name.startswith("gateway")]
    await asyncio.gather(*(child.stop(STOP_WAIT_S) for child in gateways))
    await asyncio.gather(*(child.stop(STOP_WAIT_S) for child in children if child not in gateways))


async def _send(config: Config, say: Say) -> None:
    """Send gentle traffic until cancelled."""
    say(f"sending about {TRAFFIC_RPS:g} request per second: watch budgets and threshold on the page")
    route, seed = next(iter(config.catalog.routes)), secrets.randbits(32)
    rng = np.random.Generator(np.random.PCG64(seed))
    questions, pace = generated(500, rng), Pace(1.0, asyncio.get_running_loop().time())
    tariffs = {name: model.tariff for name, model in config.catalog.models.items()}
    async with Client(_base(config), route, tariffs, pace, lambda _: None) as client, asyncio.TaskGroup() as group:
        for number, arrival in enumerate(poisson(TRAFFIC_RPS, float("inf"), rng, input_tokens=TRAFFIC_TOKENS), 1):
            await pace.until(arrival.at_s)
            prompt = padded(questions[number % len(questions)], arrival.input_tokens, number)
            group.create_task(client.ask(Request(arrival, "standard", prompt, number % 5 > 0)))


def _base(config: Config) -> str:
    return "http://" + config.server.listen.replace("0.0.0.0:", "127.0.0.1:")


def _welcome(config: Config, path: Path, took_s: float) -> str:
    base, route = _base(config), next(iter(config.catalog.routes))
    is_open = config.auth == "none"
    header = "" if is_open else " -H 'authorization: Bearer YOUR_KEY'"
    token = config.admin.token.reveal() if config.admin.token is not None else None
    page = f"http://{config.admin.listen}/" + (f"?token={token}" if token else "")
    python = Path(sys.executable)
    python = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return f"""
Sluice is ready after {took_s:.1f} s: {base}/v1

  curl -N {base}/v1/chat/completions -H 'content-type: application/json'{header} \\
    -d '{{"model": "{route}", "stream": true, "messages": [{{"role": "user", "content": "Why is the sky blue?"}}]}}'

  from openai import OpenAI
  client = OpenAI(base_url="{base}/v1", api_key="{"not-needed" if is_open else "YOUR_KEY"}")
  print(client.chat.completions.create(model="{route}", messages=[{{"role": "user", "content": "Hello!"}}]))

Page:          {page}
Configuration: {path} (save it: it takes effect within a second)
See the budget move the router, from a second terminal:
  {python} -m load run load/scenarios/gentle.yaml --url {base}{"" if is_open else " --key YOUR_KEY"}
Ctrl-C stops everything.
"""
