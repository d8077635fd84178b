"""The real gateway as a child process on ports and a state directory of its own, in front of simulated backends."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from load.backend import RunningBackend
from load.backend import start as start_backend
from load.events import store_pids
from load.processes import Child, free_addresses

CONFIG = """
auth: none
server: {{listen: "{data}", {server}}}
admin: {{listen: "{admin}"}}
store: {{{store}, flush_every: 200ms, poll_every: 200ms}}
models:
  - name: strong
    tariff: {{input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}}
    context_tokens: 128000
    backends: [{{url: "{strong}", model: strong, engine: vllm}}]
  - name: weak
    tariff: {{input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}}
    context_tokens: 128000
    backends: [{{url: "{weak}", model: weak, engine: vllm}}]
routes:
  - {{name: auto, models: [strong, weak], router: {{artifact: constant, fallback_strong_share: 0.5}}}}
slos:
  - {{name: availability, sli: {{kind: availability}}, objective: 0.99, window: 28d}}
  - {{name: spend, sli: {{kind: cost, usd: 1000}}, period: calendar-month}}
pricing: {{law: shadow_price, priority: [availability, spend], tick: 300ms}}
classes:
  - {{name: standard, value: 3, ttft_deadline: 30s}}
tenants:
  - {{name: open, class: standard, may: [choose_model, threshold, debug]}}
decision_log: {{path: "{folder}/decisions.jsonl", flush_every: 100ms}}
"""
HELLO = [{"role": "user", "content": "hello"}]


class Gateway:
    """One gateway's process, its files, and the ways to it."""

    def __init__(self, folder: Path, backends: dict[str, str], server: str = "drain: 10s", store: str | None = None) -> None:
        self.folder, self.config, self.log = folder, folder / "sluice.yaml", folder / "gateway.log"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        store = store or f'url: embedded, directory: "{folder}/state"'
        self.data, self.admin = free_addresses(2)
        self.url = f"http://{self.data}"
        self.yaml = CONFIG.format(data=self.data, admin=self.admin, folder=folder, server=server, store=store, **backends)
        self.config.write_text(self.yaml)
        self.child: Child | None = None
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))

    @property
    def state_directory(self) -> Path:
        return self.folder / "state"

    async def start(self, *more: str) -> float:
        """Start it; return the seconds that took."""
        began_s = time.monotonic()
        words = ("gateway", "serve", "--config", str(self.config), "--guard", *more)
        self.child = await Child.start("gateway", words, self.log, {"TMPDIR": str(self.temporary)})
        assert await self.child.ready("ready ") == self.url
        return time.monotonic() - began_s

    @property
    def process(self) -> Child:
        assert self.child is not None
        return self.child

    async def close(self) -> None:
        await self.session.close()
        if self.child is not None:
            await self.child.stop()

    async def refused(self, config: Path | None = None) -> "Refusal":
        """Start it where it is expected to be refused."""
        return await asyncio.to_thread(Refusal, config or self.config)

    async def state(self) -> Any:
        async with self.session.get(f"http://{self.admin}/admin/state") as response:
            return await response.json()

    async def until(self, holds: Callable[[Any], Any], within_s: float = 5.0) -> Any:
        """Wait until the state is so; return the state."""
        until_s = time.monotonic() + within_s
        while True:
            state = await self.state()
            if holds(state):
                return state
            assert time.monotonic() < until_s, json.dumps(state, indent=1)[:6000]
            await asyncio.sleep(0.02)

    @staticmethod
    def counted(state: Any) -> dict[str, float]:
        """What the fleet's books hold, as the published board shows them."""
        board = state["board"]
        spend = next(b for b in board["budgets"] if b["slo"] == "spend")
        reasons = board["traffic"]["reasons"]
        return {
            "served": reasons.get("served", 0),
            "settled": spend["samples"],
            "usd": round(spend["spent_usd"], 9),
            "all": sum(reasons.values()),
        }

    async def until_counted(self, served: int, within_s: float = 5.0) -> dict[str, float]:
        """Wait until so many served requests stand in the books, and no more; return the books."""
        return self.counted(await self.until(lambda state: self.counted(state)["served"] == served, within_s))

    def traffic(self, rate: float, **body: Any) -> "Traffic":
        """Make calls at this rate per second, while the context is open."""
        return Traffic(self, rate, body)

    async def ask(self, model: str = "auto", **more: Any) -> "Asked":
        """Make one call to its end; nothing is retried."""
        body = {"model": model, "messages": HELLO, "max_tokens": 2, **more}
        began_s = time.monotonic()
        try:
            async with self.session.post(f"{self.url}/v1/chat/completions", json=body) as response:
                text = await response.text()
                is_whole = "data: [DONE]" in text if body.get("stream") else response.status == 200
                return Asked(response.status, is_whole, response.headers.get("x-sluice-model"), text, began_s, time.monotonic())
        except (aiohttp.ClientError, OSError) as trouble:
            return Asked(0, False, None, repr(trouble), began_s, time.monotonic())

    def decisions(self) -> list[Any]:
        """What stands in the decision log."""
        log = self.folder / "decisions.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [line for line in lines if line["kind"] == "decision"]

    def pids(self) -> list[int]:
        """Every process that works on our files: the gateway, its store, its store's guard."""
        return pids_of(str(self.folder))

    async def gone(self, within_s: float = 2.0) -> float:
        """Wait until no process of ours is left; return how long that took."""
        began_s = time.monotonic()
        while pids := self.pids():
            assert time.monotonic() - began_s < within_s, pids
            await asyncio.sleep(0.02)
        return time.monotonic() - began_s

    @property
    def store_pid(self) -> int:
        """The process of the embedded store."""
        (pid,) = store_pids(self.state_directory)
        return pid


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as its client saw it."""

    status: int
    is_whole: bool
    model: str | None
    text: str
    began_s: float
    ended_s: float


class Refusal:
    """A start that is refused: what it said and its exit status."""

    def __init__(self, config: Path, more: tuple[str, ...] = ()) -> None:
        words = [sys.executable, "-m", "gateway", "serve", "--config", str(config), *more]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        self.status, self.said, self.errors = done.returncode, done.stdout.strip().splitlines(), done.stderr


@dataclass(slots=True)
class Traffic:
    """Open-loop calls at an even rate, until stopped."""

    gateway: Gateway
    rate: float
    body: dict[str, Any]
    asked: list[Asked] = field(default_factory=list)
    _task: "asyncio.Task[None] | None" = None

    async def __aenter__(self) -> "Traffic":
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        next_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    group.create_task(self._one())
                    next_s += 1 / self.rate
                    await asyncio.sleep(max(0.0, next_s - time.monotonic()))
            except asyncio.CancelledError:
                return  # those under way are waited for

    async def _one(self) -> None:
        self.asked.append(await self.gateway.ask(**self.body))

    @property
    def failed(self) -> list[Asked]:
        return [a for a in self.asked if not a.is_whole]

    def strong_share(self, from_s: float, to_s: float) -> float:
        """Share answered by the strong model among those that began in this interval."""
        models = [a.model for a in self.asked if from_s <= a.began_s < to_s]
        return models.count("strong") / len(models)


def pids_of(text: str) -> list[int]:
    """Return the processes, zombies left out, whose command line names this."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if text.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="sluice-") as name:
        yield Path(name)


@pytest.fixture
async def engines() -> AsyncIterator[dict[str, RunningBackend]]:
    """Both simulated backends, in this process; answers are as long as `max_tokens` says."""
    running = {name: await start_backend(model=name, output_tokens_mean=20_000) for name in ("strong", "weak")}
    yield running
    for backend in running.values():
        await backend.close()


@pytest.fixture
def gateway_class() -> type[Gateway]:
    """For tests with several gateways."""
    return Gateway


@pytest.fixture
async def prepared(folder: Path, engines: dict[str, RunningBackend]) -> AsyncIterator[Gateway]:
    """A gateway that is not started yet."""
    gateway = Gateway(folder, {name: backend.base_url for name, backend in engines.items()})
    yield gateway
    await gateway.close()
    assert not gateway.pids(), "no orphan"
    log = gateway.log.read_text() if gateway.log.exists() else ""
    assert "Traceback" not in log, log


@pytest.fixture
async def gateway(prepared: Gateway) -> Gateway:
    """A gateway that runs."""
    await prepared.start()
    return prepared
