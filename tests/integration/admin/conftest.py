"""A gateway without its data port: real configuration, core, store, log and metrics behind a real admin listener."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.assemble import build
from gateway.config.load import load
from gateway.core.routing.record import as_json, as_line
from gateway.core.state import State
from gateway.core.tenants.scope import limits_of
from gateway.core.tenants.shown import shown
from gateway.core.ticket import Ticket
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.domain.prices import Overrides
from gateway.edges.clock import SystemClock
from gateway.edges.scoring.scorer import Scoring
from gateway.edges.server.admin import Admin
from gateway.edges.store.memory import MemoryStore
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.telemetry.decisions import FileDecisionLog
from gateway.edges.telemetry.metrics import Metrics
from gateway.edges.telemetry.options import DecisionLogOptions

TOKEN = "admin-token"
CONFIG = """
auth: none
admin: {listen: "127.0.0.1:8081", token: admin-token}
store: {url: memory}
models:
  - {name: strong, tariff: {input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}, context_tokens: 128000,
      backends: [{url: "http://127.0.0.1:9101/v1", model: strong, engine: vllm}]}
  - {name: weak, tariff: {input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}, context_tokens: 32000,
      backends: [{url: "http://127.0.0.1:9102/v1", model: weak, engine: vllm}]}
routes:
  - {name: auto, models: [strong, weak], router: {artifact: constant}}
slos:
  - {name: availability, sli: {kind: availability}, objective: 0.999, window: 28d}
  - {name: first-token, sli: {kind: ttft, at_most: 1s}, objective: 0.95, window: 28d, for: {route: auto}}
  - {name: spend, sli: {kind: cost, usd: 1}, period: calendar-hour}
classes:
  - {name: standard, value: 3, ttft_deadline: 30s}
tenants:
  - {name: open, class: standard}
  - name: reports
    class: standard
    keys: ["sha256:KEY"]
    limits: {rpm: 30, tpm: 200000, usd_per_day: 20}
    key_limits: [{key: "sha256:KEY", rpm: 12}]
    model_limits: [{model: strong, usd_per_day: 0.05}]
""".replace("KEY", "ab" * 32)


class House:
    """What the process wires together, and a way to let requests pass through it."""

    def __init__(self, folder: Path) -> None:
        (folder / "sluice.yaml").write_text(CONFIG)
        self.clock, self.state = SystemClock(), State()
        self.recorder = SlotRecorder()
        self.store = MemoryStore(self.clock, self.recorder)
        self.runtime = build(load(folder / "sluice.yaml", {}), self.state, Scoring(), 1)
        self.log = FileDecisionLog(DecisionLogOptions(path=str(folder / "decisions.jsonl")), as_line, as_json)
        self.metrics = Metrics(ttft_bounds_s=[1.0])
        self.board: Mapping[str, Any] | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Open the admin port."""
        self._runner = web.AppRunner(Admin(Sources(self), event_every_s=0.1).app(), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> int:
        """Close it; return the port that is free now."""
        assert self._runner is not None
        port: int = self._runner.addresses[0][1]
        await self._runner.cleanup()
        return port

    def token(self) -> str | None:
        return TOKEN

    def state_view(self) -> Mapping[str, Any]:
        config, health, now_s = self.runtime.config, self.store.health, self.clock.now_s()
        return {
            "wall_s": self.clock.wall_s(),
            "board": self.board,
            "local": {**self.runtime.dispatcher.board(now_s), "tenants": shown(self.state.limits, now_s, self.clock.wall_s())},
            "worker": {
                "config": {"generation": 1, "hash": config.hash, "price_hash": config.price_hash, "errors": [], "mode": config.mode},
                "store": {
                    "is_away": health.is_away,
                    "last_error": health.last_error,
                    "fill": health.memory_fill,
                    "pending_batches": health.pending_batches,
                },
                "decision_log": self.log.view(),
                "routers": {"auto": None, "other": "its folder is gone"},
                "duties": {},
                "decisions": self.log.recent(),
            },
        }

    async def override(self, change: Mapping[str, Any]) -> None:
        route = change.get("route")
        if route is not None and route not in self.runtime.catalog.routes:
            raise ValueError(f"no route '{route}'; there are {', '.join(self.runtime.catalog.routes)}")
        await self.store.override(change)
        await self.poll()

    async def poll(self) -> None:
        """Put in force what the store publishes."""
        prices, overrides, board = await self.store.poll()
        self.board = board or self.board
        if prices is None:
            self.state.overrides = overrides
        elif self.runtime.dispatcher.adopt(prices, overrides, self.clock.now_s()):
            gains = {name: self.runtime.core.dispatcher._gains[name] for name in self.runtime.scorers}
            self.log.write(("prices", self.clock.wall_s(), prices, gains, self.runtime.config.hash))

    def request(self, i: int, reason: Reason = Reason.SERVED) -> None:
        """Let one request pass."""
        runtime, now_s, wall_s = self.runtime, self.clock.now_s(), self.clock.wall_s()
        catalog = runtime.catalog
        facts = RequestFacts(
            f"req_{i:04}", Endpoint.CHAT, "open", catalog.classes["standard"], "auto", tuple(catalog.models.values()), 100 + i,
            None, True, now_s, ((i * 0.618) % 1.0, 0.99),
        )  # fmt: skip
        ticket = runtime.dispatcher.decide(facts, runtime.scorers["auto"].qualities("x" * i), now_s, wall_s)
        assert isinstance(ticket, Ticket)
        assert ticket.placed is not None
        self.recorder.book(ticket.opening, wall_s)
        runtime.dispatcher.sent(ticket, now_s)
        runtime.dispatcher.first_token(ticket, now_s)
        outcome = Outcome(reason, ticket.placed.model.name, 0.2, 1.5, facts.prompt_tokens, 80, was_streamed=True)
        booking = runtime.dispatcher.ended(ticket, outcome, now_s, wall_s)
        self.recorder.book(booking.entries, wall_s)
        self.log.write(booking.record)
        self.metrics.ended(facts, ticket.placed, outcome, booking.usd, 0.0004)

    def limited(self, usd: float) -> bool:
        """Let one request of a limited tenant pass; return whether it does."""
        now_s, tenant = self.clock.now_s(), self.runtime.catalog.tenants["reports"]
        draw = self.state.limits.draw(limits_of(tenant, "ab" * 32, "strong"), 1500, usd, now_s)
        return self.state.limits.take(draw, now_s, self.clock.wall_s()) is None

    async def govern(self) -> None:
        """One budget tick: flush, judge, publish, poll."""
        await self.store.flush()
        slots = await self.store.slots(0.0)
        fresh = self.state.counts.update(slots)
        health = dict.fromkeys(self.runtime.catalog.models, (0.999, 0.001))
        published = self.runtime.core.governor.tick(self.state.counts, fresh, self.clock.wall_s(), health, Overrides(), 1)
        await self.store.lead(60.0)
        await self.store.publish(published.prices, published.memory, published.board)
        await self.poll()


class Sources:
    """The house as the admin port sees it."""

    def __init__(self, house: House) -> None:
        self.token, self.state, self.override = house.token, house.state_view, house.override
        self.metrics_text = lambda: house.metrics.render(house.state_view())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.govern()
    for i in range(40):
        house.request(i)
    house.request(40, Reason.UPSTREAM_ERROR)
    await house.govern()
    house.log.flush()
    await house.start()
    yield house
    await house.stop()
