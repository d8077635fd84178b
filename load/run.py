"""Play a scenario over real sockets: open loop, faults and events by the clock, budgets sampled once per tick.

Every request leaves at its own moment, whatever happened to those before it. With `speed` everything goes that many times
faster (arrivals, engines, the gateway's clock) and every figure is in seconds of the scenario. With a URL of a gateway that
somebody else runs, nothing is started, broken or sampled.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gateway.config.load import Config
from load.client import Client, Pace, Request
from load.events import Event, EventError, EventKind
from load.faults import switches
from load.plan import Plan, parsed, slo_notes
from load.progress import Progress
from load.result import Result, Row, Sample
from load.scenario import KEY, tariffs_of
from load.stage import Stage, copy_builtin_router, lead_s

SHOW_EVERY_S = 0.5
SLACK_S = 0.5
SETTLE_S = 30.0
"""Longest wait, after the last answer, for the gateway to have counted and judged it."""
TAIL_S = 300.0
"""Runs with a restart are accounted by the store, whose budget must not begin anew before the last answer."""
_CLOCKED = (EventKind.RESTART_GATEWAY, EventKind.KILL_GATEWAY)


@dataclass(frozen=True, slots=True)
class Options:
    """How to play."""

    folder: Path
    """Takes everything that the processes leave."""
    speed: float = 1.0
    url: str | None = None
    key: str | None = None
    """API key for a gateway of somebody else."""
    events: tuple[Event, ...] = ()


def check(options: Options) -> None:
    """Find what cannot be played. Raises: EventError."""
    if options.events and options.url is not None:
        raise EventError("events need a gateway that is started here, not one with --url")
    if options.speed != 1.0 and any(e.kind in _CLOCKED for e in options.events):
        # A faster clock begins at the real time of its process's start, so a second process would live in the first one's past.
        raise EventError("a gateway that is stopped and started again needs --speed 1")


async def run(plan: Plan, options: Options, progress: Progress) -> Result:
    """Play a plan and return what happened.

    Raises: EventError, ChildRefused when something does not start, ConfigErrors.
    """
    check(options)
    if options.url is not None:
        return await _visit(plan, options, progress)
    if any(e.kind is EventKind.REMOVE_ROUTER for e in options.events):
        plan = replace(plan, scenario=replace(plan.scenario, router=str(copy_builtin_router(options.folder))))
    config = parsed(plan.config(), plan.scenario)
    is_restarted = any(e.kind in _CLOCKED for e in options.events)
    async with Stage(plan, options.folder, options.speed, TAIL_S if is_restarted else 0.0) as stage:
        state = await stage.admin_state()
        passed_s = float(state["wall_s"]) - stage.now.started_wall_s if state is not None else lead_s(options.speed)
        wait_s = (lead_s(options.speed) - passed_s) / options.speed
        pace = Pace(options.speed, asyncio.get_running_loop().time() + max(0.0, wait_s))
        watcher = Watcher(plan, stage, pace, config)
        url = f"http://{stage.now.addresses.gateway}"
        client = Client(url, plan.scenario.route, tariffs_of(plan.scenario), pace, KEY.format, lambda: stage.is_running)
        async with client, asyncio.TaskGroup() as group:
            around = [group.create_task(watcher.sample()), group.create_task(watcher.break_things())]
            doing = [group.create_task(watcher.do(event)) for event in options.events]
            rows = await play(plan, client, pace, progress, lambda: _seen(watcher.samples))
            await asyncio.gather(*doing)
            last = await _settled(stage, pace, config, is_restarted)
            for task in around:
                task.cancel()
        billed = watcher.spent_usd(last) if is_restarted else await stage.billed_usd()
        notes = _notes(plan, options) | slo_notes(config) | client_notes(client) | account(rows, billed, last) | watcher.notes()
        notes |= {"late_start_s": max(0.0, -wait_s) * options.speed, "gateway_cpu_s": stage.total_cpu_s()}
    return _result(plan, options, config.pricing.law, rows, watcher.samples, notes)


async def _settled(stage: Stage, pace: Pace, config: Config, is_judged: bool) -> Mapping[str, Any] | None:
    """Return the gateway's state when all that has happened is flushed and, with `is_judged`, in a published board."""
    state = await stage.admin_state()
    flushed_wall_s = float(state["wall_s"]) + config.store.flush_every + SLACK_S if state is not None else 0.0
    until_s = pace.now_s() + SETTLE_S
    while pace.now_s() < until_s:
        await pace.until(pace.now_s() + SLACK_S)
        state = await stage.admin_state()
        if state is not None and state.get("board"):
            seen_wall_s = state["board"]["made_wall_s"] if is_judged else state["wall_s"]
            if seen_wall_s >= flushed_wall_s:
                break
    return state


async def _visit(plan: Plan, options: Options, progress: Progress) -> Result:
    """Send the traffic to a gateway that somebody else runs."""
    pace = Pace(options.speed, asyncio.get_running_loop().time())
    url = options.url or ""
    async with Client(url, plan.scenario.route, tariffs_of(plan.scenario), pace, lambda _: options.key) as client:
        rows = await play(plan, client, pace, progress, lambda: "")
    notes = _notes(plan, options) | client_notes(client) | {"url": url}
    return _result(replace(plan, budget_usd=None), options, "theirs", rows, [], notes)


async def play(plan: Plan, client: Client, pace: Pace, progress: Progress, seen: Any) -> list[Row]:
    """Send everything at its moment; return the rows in order of arrival, when the last has ended."""
    rng = np.random.Generator(np.random.PCG64([plan.scenario.seed, 2]))
    streamed = (rng.random(len(plan.traffic)) < plan.scenario.stream_share).tolist()
    done, shown_s = 0, -SHOW_EVERY_S

    def count(_: object) -> None:
        nonlocal done
        done += 1

    async with asyncio.TaskGroup() as group:
        tasks = []
        for (arrival, klass), prompt, is_streamed in zip(plan.traffic, plan.prompts, streamed, strict=True):
            if pace.now_s() < arrival.at_s:
                await pace.until(arrival.at_s)
            task = group.create_task(client.ask(Request(arrival, klass, prompt, is_streamed)))
            task.add_done_callback(count)
            tasks.append(task)
            real_s = pace.now_s() / pace.speed
            if real_s - shown_s >= SHOW_EVERY_S:
                shown_s = real_s
                progress.show(arrival.at_s, f"sent {len(tasks)} ended {done} {seen()}")
    progress.show(plan.scenario.duration_s, f"sent {len(tasks)} ended {done} {seen()}")
    progress.close()
    return [task.result() for task in tasks]


class Watcher:
    """Samples budgets and hurts what is under test, by the scenario's clock."""

    def __init__(self, plan: Plan, stage: Stage, pace: Pace, config: Config) -> None:
        self._plan, self._stage, self._pace = plan, stage, pace
        self._tick_s = config.pricing.tick
        self._cost = next((s.name for s in config.slos if s.kind == "cost"), None)
        self.samples: list[Sample] = []
        self._breaks: list[dict[str, Any]] = []
        self._done: list[dict[str, Any]] = []

    async def sample(self) -> None:
        """Note the published budgets once per tick, until cancelled."""
        next_s = 0.0
        while True:
            await self._pace.until(next_s)
            state = await self._stage.admin_state()
            if state is not None and state.get("board"):
                self.samples.append(sample_of(state, self._pace.now_s(), self._plan.scenario.route, self._cost))
            next_s = max(next_s + self._tick_s, self._pace.now_s())

    async def break_things(self) -> None:
        """Switch faults on and off at their moments."""
        for change in switches(self._plan.scenario.faults):
            await self._pace.until(change.at_s)
            await self._stage.switch(change.target, change.fault)
            kind = change.fault.kind.value if change.fault is not None else "repaired"
            self._breaks.append({"target": change.target, "what": kind, "at_s": self._pace.now_s()})

    async def do(self, event: Event) -> None:
        """Carry out one event at its moment."""
        await self._pace.until(event.at_s)
        begun_s = self._pace.now_s()
        await self._stage.do(event)
        self._done.append({**event.as_note(), "begun_s": begun_s, "ended_s": self._pace.now_s()})

    def spent_usd(self, state: Mapping[str, Any] | None) -> float | None:
        """Return what the cost budget of a state has spent in its period."""
        budgets = ((state or {}).get("board") or {}).get("budgets", ())
        return next((b["spent_usd"] for b in budgets if b["slo"] == self._cost), None)

    def notes(self) -> dict[str, Any]:
        """What was done, and when it really happened."""
        return {"switched": self._breaks, "events": self._done}


def sample_of(state: Mapping[str, Any], now_s: float, route: str, cost: str | None) -> Sample:
    """Read one sample from /admin/state; `cost` names the SLO whose dollars are meant."""
    board, local = state["board"], state.get("local") or {}
    budgets = {b["slo"]: b for b in board["budgets"]}
    spent = budgets[cost].get("spent_usd") if cost in budgets else None
    return Sample(
        now_s,
        board["alpha_ref"].get(route),
        spent,
        board.get("mode"),
        {name: b["price"] for name, b in budgets.items()},
        {name: b["projected"] for name, b in budgets.items()},
        {b["id"]: b["breaker"] for b in local.get("backends", ())},
    )


def account(rows: Sequence[Row], billed_usd: float | None, state: Mapping[str, Any] | None) -> dict[str, Any]:
    """Lay the gateway's own account beside ours; it also knows dollars that no client sees, of attempts that failed.

    Args:
        billed_usd: what the gateway counted: its process, or, over a restart, the budget in its store.
    """
    ours, worker = sum(r.usd for r in rows), (state or {}).get("worker") or {}
    return {
        "harness_usd": ours,
        "gateway_usd": billed_usd,
        "gateway_over_harness": billed_usd / ours if ours and billed_usd is not None else None,
        "gateway_store": worker.get("store"),
        "gateway_troubles": worker.get("duties"),
        "gateway_config": worker.get("config"),
    }


def client_notes(client: Client) -> dict[str, Any]:
    """How late requests left: a harness that cannot keep up must say so."""
    lags = client.send_lags_s
    if not lags:
        return {}
    p50, p99 = np.percentile(lags, [50, 99])
    return {"send_lag_s": {"p50": float(p50), "p99": float(p99), "max": max(lags)}}


def _seen(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    last = samples[-1]
    alpha = "-" if last.alpha_ref is None else f"{last.alpha_ref:.2f}"
    return f"threshold {alpha}" + ("" if last.spent_usd is None else f" spent ${last.spent_usd:.2f}")


def _notes(plan: Plan, options: Options) -> dict[str, Any]:
    return {**plan.notes(), "seed": plan.scenario.seed, "speed": options.speed}


def _result(plan: Plan, options: Options, law: str, rows: list[Row], samples: list[Sample], notes: dict[str, Any]) -> Result:
    scenario = plan.scenario
    return Result(scenario.name, "run", law, scenario.duration_s, plan.budget_usd, plan.strong, options.speed, rows, samples, notes)
