"""The gateway under test and its simulated backends, as child processes on ports of their own, with fresh state.

Everything that they leave (configuration, state directory, logs, decision log) stays in one folder, to be looked at.
"""

import asyncio
import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from load.events import Event, EventKind, store_pids
from load.faults import Fault
from load.plan import Plan
from load.processes import Child, free_addresses
from load.scenario import Addresses

LEAD_REAL_S, LEAD_S = 0.5, 1.0
"""What a gateway needs to come up: LEAD_REAL_S of imports before its clock begins, then LEAD_S that pass at its speed."""
KILL_EVERY_S = 0.05
BILLED = "sluice_cost_usd_total{"
ADMIN_WAIT_S = 5.0
STOP_WAIT_S = 45.0
"""Longer than the gateway's own drain."""


def lead_s(speed: float) -> float:
    """Return the scenario seconds from the start of the budget's period to the first arrival."""
    return LEAD_REAL_S + LEAD_S * speed


@dataclass(slots=True)
class Standing:
    """What stands now."""

    addresses: Addresses
    token: str
    started_wall_s: float
    """The budget's period begins here, in the gateway's time."""


class Stage:
    """Starts, watches, hurts and stops what is under test. Use as an async context manager."""

    def __init__(self, plan: Plan, folder: Path, speed: float, tail_s: float = 0.0) -> None:
        """Prepare, start nothing.

        Args:
            folder: takes all files; its `state` is made anew.
            tail_s: by which the budget's period outlasts the scenario.
        """
        self.plan, self.folder, self.speed, self._tail_s = plan, folder, speed, tail_s
        self.state, self.config = folder / "state", folder / "gateway.yaml"
        self._backends: dict[str, Child] = {}
        self._gateway: Child | None = None
        self.is_running = False
        self.cpu_s = 0.0
        """CPU seconds of the gateway's processes that have ended."""

    async def __aenter__(self) -> "Stage":
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        for log in self.folder.glob("*.log"):
            log.unlink()
        names = list(self.plan.scenario.backends)
        gateway, admin, *rest = free_addresses(2 + len(names))
        self._ports = dict(zip(names, rest, strict=True))
        where = Addresses(gateway, admin, {n: f"http://{a}/v1" for n, a in self._ports.items()}, str(self.state))
        self.now = Standing(where, secrets.token_urlsafe(16), time.time())
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ADMIN_WAIT_S))
        try:
            await asyncio.gather(*(self._start_backend(name) for name in names))
            self.now.started_wall_s = time.time()
            self.config.write_text(self.plan.config(where, self.now.started_wall_s, self.now.token, lead_s(self.speed), self._tail_s))
            await self._start_gateway()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        if self._gateway is not None:
            await self._stop_gateway()
        await asyncio.gather(*(child.stop() for child in self._backends.values()))

    async def _start_backend(self, model: str) -> None:
        preset = self.plan.scenario.backends[model]
        port = self._ports[model].rpartition(":")[2]
        words = ("load.backend", "--port", port, "--model", model, "--preset", preset, "--speed", f"{self.speed:g}", "--guard")
        child = self._backends[model] = await Child.start(f"backend {model}", words, self.folder / f"backend-{model}.log")
        await child.ready("listening on")

    async def _start_gateway(self) -> None:
        words = ("gateway", "serve", "--config", str(self.config), "--guard", "--clock-speed", f"{self.speed:g}")
        self._gateway = await Child.start("gateway", words, self.folder / "gateway.log")
        await self._gateway.ready("ready ")
        self.is_running = True

    async def _stop_gateway(self, number: int = signal.SIGTERM) -> None:
        assert self._gateway is not None
        self.is_running = False
        self.cpu_s += self._gateway_cpu_s()
        if number == signal.SIGTERM:
            await self._gateway.stop(STOP_WAIT_S)
        else:
            self._gateway.send(number)
            await self._gateway.ended()

    async def admin_state(self) -> dict[str, Any] | None:
        """Return the gateway's /admin/state; None when it does not answer."""
        headers = {"Authorization": f"Bearer {self.now.token}"}
        try:
            async with self._session.get(f"http://{self.now.addresses.admin}/admin/state", headers=headers) as response:
                state: dict[str, Any] | None = await response.json() if response.status == 200 else None
                return state
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    async def billed_usd(self) -> float | None:
        """Return the dollars that the gateway's process has billed since it started; None when it does not answer."""
        headers = {"Authorization": f"Bearer {self.now.token}"}
        try:
            async with self._session.get(f"http://{self.now.addresses.admin}/metrics", headers=headers) as response:
                lines = (await response.text()).splitlines()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(BILLED))

    async def switch(self, target: str, fault: Fault | None) -> None:
        """Break a backend, or repair it."""
        url = f"http://{self._ports[target]}/sim/fault"
        sent = self._session.delete(url) if fault is None else self._session.post(url, json=fault.body())
        async with sent as response:
            response.raise_for_status()

    async def do(self, event: Event) -> None:
        """Carry out one event, to its end."""
        length_s = event.for_s / self.speed
        match event.kind:
            case EventKind.KILL_STORE:
                until_s = time.monotonic() + length_s
                self._signal_store(signal.SIGKILL)
                while time.monotonic() < until_s:
                    await asyncio.sleep(KILL_EVERY_S)
                    self._signal_store(signal.SIGKILL)
            case EventKind.STOP_STORE:
                self._signal_store(signal.SIGSTOP)
                try:
                    await asyncio.sleep(length_s)
                finally:
                    self._signal_store(signal.SIGCONT)
            case EventKind.RESTART_GATEWAY | EventKind.KILL_GATEWAY:
                await self._stop_gateway(signal.SIGTERM if event.kind is EventKind.RESTART_GATEWAY else signal.SIGKILL)
                await asyncio.sleep(length_s)
                await self._start_gateway()
            case EventKind.RELOAD:
                self._edit()
            case EventKind.REMOVE_ROUTER:
                shutil.rmtree(self.folder / "router")
                self._edit()

    def _signal_store(self, number: int) -> None:
        for pid in store_pids(self.state):
            os.kill(pid, number)

    def _edit(self) -> None:
        """Change something harmless, so that the gateway takes up a new version of its configuration."""
        data = yaml.safe_load(self.config.read_text())
        data["server"]["idle"] = "74s" if data["server"].get("idle") == "73s" else "73s"
        fresh = self.config.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(data, sort_keys=False))
        fresh.replace(self.config)

    def _gateway_cpu_s(self) -> float:
        """Return the CPU seconds of the gateway's process so far; 0 where the system does not tell."""
        assert self._gateway is not None
        try:
            told = Path(f"/proc/{self._gateway.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

    def total_cpu_s(self) -> float:
        """Return the CPU seconds of the gateway from the start, restarts included."""
        return self.cpu_s + (self._gateway_cpu_s() if self.is_running else 0.0)


def copy_builtin_router(folder: Path) -> Path:
    """Copy the builtin router's artifact into a folder, where it can be removed."""
    target = folder / "router"
    with as_file(files("router_models") / "builtin") as source:
        shutil.copytree(source, target, dirs_exist_ok=True)
    return target
