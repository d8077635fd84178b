"""One process's life: start in order, serve, swap configurations, drain, let go.

Nothing is decided here. Starting fails as a whole with one line (`StartError`); once it serves, trouble with the store, the disk
or a new configuration is shown and counted, and requests go on.
"""

import asyncio
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from aiohttp import web

from gateway.assemble import build, put_in_force
from gateway.config.errors import ConfigErrors
from gateway.config.load import Config, load
from gateway.config.watch import Watcher
from gateway.core.routing.record import as_json, as_line
from gateway.core.state import State
from gateway.core.tenants.shown import shown
from gateway.domain.prices import Overrides
from gateway.edges.outbox import TurnOutbox
from gateway.edges.scoring.scorer import Scoring
from gateway.edges.server.admin import Admin
from gateway.edges.server.app import DataPort
from gateway.edges.store import embedded
from gateway.edges.store.embedded import EmbeddedRefused, EmbeddedServer
from gateway.edges.store.leases import LeaseDesk
from gateway.edges.store.memory import MemoryStore
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.store.redis import RedisStore
from gateway.edges.telemetry.decisions import FileDecisionLog
from gateway.edges.telemetry.metrics import Metrics
from gateway.edges.upstream.pool import AiohttpUpstream
from gateway.edges.upstream.probe import Probe
from gateway.edges.upstream.scrape import Scrape
from gateway.pipeline.pipeline import Pipeline
from gateway.ports import Chance, Clock, StoreAway
from gateway.runtime import Runtime
from gateway.upkeep import Duty, Upkeep
from router_models.port import ArtifactError

LOG = logging.getLogger("sluice.worker")
WATCH_S, SWEEP_S, REFILL_S = 0.2, 0.02, 0.05
DECISIONS_SHOWN = 50
FAREWELL_S = 2.0
"""Clock seconds for the last flush at the end; a store that is away does not hold us longer."""


class StartError(Exception):
    """The process cannot start; one line that says what to do."""


class Worker:
    """Everything that one process holds."""

    def __init__(self, path: str, environ: Mapping[str, str], clock: Clock, chance: Chance) -> None:
        self._path, self._environ, self._clock, self._chance = path, environ, clock, chance
        self._state, self._scoring = State(), Scoring()
        self._errors: list[str] = []
        self._notes: list[str] = []
        self._runtime: Runtime | None = None
        self._embedded: EmbeddedServer | None = None
        self._admin_runner: web.AppRunner | None = None

    @property
    def runtime(self) -> Runtime:
        """The configuration in force."""
        assert self._runtime is not None
        return self._runtime

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> str:
        """Build everything and open both ports; return the data port's address.

        Raises: ConfigErrors, StartError.
        """
        self._watcher = Watcher(self._path)
        config = load(self._path, self._environ)
        self._started = config
        try:
            self._runtime = build(config, self._state, self._scoring, generation=1)
        except (ArtifactError, ValueError) as trouble:
            raise StartError(f"{self._path}: {trouble}") from trouble
        self._recorder = SlotRecorder()
        self._store = await self._open_store(config)
        try:
            return await self._open_ports(config)
        except BaseException:
            await self._let_go()
            raise

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain and let go."""
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self._upkeep.run(self._duties()))
                await stop.wait()
                cut = await self._data.drain(self.runtime.config.server.drain)
                if cut:
                    LOG.warning("%d requests were cut at the end of the drain", cut)
                running.cancel()
        finally:
            await self._let_go()

    async def _open_store(self, config: Config) -> RedisStore | MemoryStore:
        url, replica = config.store.url.reveal(), self._chance.request_id()
        if url == "memory":
            return MemoryStore(self._clock, self._recorder, replica)
        if url == "embedded":
            try:
                self._embedded = await embedded.start(config.store)
            except EmbeddedRefused as refused:
                raise StartError(str(refused)) from refused
            url = self._embedded.url
        try:
            return RedisStore(url, config.store, self._clock, self._recorder, replica)
        except ValueError as trouble:
            raise StartError(str(trouble)) from trouble

    async def _open_ports(self, config: Config) -> str:
        self._log = FileDecisionLog(config.decision_log, as_line, as_json)
        self._metrics = Metrics(sorted({s.options.at_most for s in config.slos if s.kind == "ttft" and not s.options.bins}))
        outbox = TurnOutbox()
        self._upstream = AiohttpUpstream(config.upstream, self._clock, outbox)
        self._probe, self._scrape = Probe(self._upstream), Scrape(self._upstream)
        self._leases = LeaseDesk(self._clock, self._store, self._state.limits)
        self._pipeline = Pipeline(self._clock, self._upstream, self._recorder, self._log, self._metrics, self._leases)
        self._upkeep = Upkeep(
            self._clock, self._store, self._state, lambda: self.runtime.core, lambda: self._config().pricing.tick,
            lambda: self._config().store.alone_after,
        )  # fmt: skip
        self._upkeep.on_prices = self._log_prices
        await self._first_prices()
        await self._share_secret()
        story: Any = self._pipeline
        self._data = DataPort(config.server, self._clock, self._chance, story, lambda: self._runtime, outbox)
        self._data.store_is_away = lambda: self._store.health.is_away
        host, port = address(config.server.listen)
        admin_host, admin_port = address(config.admin.listen)
        try:
            self._admin_runner = web.AppRunner(Admin(self).app(), access_log=None)
            await self._admin_runner.setup()
            await web.TCPSite(self._admin_runner, admin_host, admin_port).start()
        except OSError as trouble:
            raise busy("admin.listen", config.admin.listen, trouble) from trouble
        try:
            bound = await self._data.start(host, port)
        except OSError as trouble:
            raise busy("server.listen", config.server.listen, trouble) from trouble
        return f"http://{host}:{bound}"

    async def _first_prices(self) -> None:
        """Have prices before the first request: the store's, or, without one, those that the cards give."""
        try:
            await self._upkeep.poll()
            if self._state.prices is None:
                await self._upkeep.govern()
                await self._upkeep.poll()
        except StoreAway as away:
            LOG.warning("the store is away at the start (%s); prices start from the calibration sample", away)
        if self._state.prices is None:
            healthy = dict.fromkeys(self.runtime.catalog.models, (0.999, 0.001))
            published = self.runtime.core.governor.tick(self._state.counts, {}, self._clock.wall_s(), healthy)
            self.runtime.dispatcher.adopt(published.prices, Overrides(), self._clock.now_s())
            self._upkeep.watched.board = published.board
        self._log_prices()

    async def _share_secret(self) -> None:
        """Draw and seal as all replicas do; while the store is away with a secret of our own."""
        try:
            self._chance.share(bytes.fromhex(await self._store.secret(self._chance.secret.hex())))
        except (StoreAway, ValueError) as trouble:
            LOG.warning("no shared secret (%s): until the next start verdicts on this process's answers count only here", trouble)

    async def _let_go(self) -> None:
        """Flush what can be flushed and release everything, in reverse order; each part only once."""
        for step in (self._last_flush, self._close_admin, self._close_upstream, self._close_log, self._close_embedded):
            try:
                await step()
            except Exception:
                LOG.exception("while stopping")

    async def _last_flush(self) -> None:
        try:
            async with asyncio.timeout(self._clock.real_s(FAREWELL_S)):
                if hasattr(self, "_data"):
                    await self._data.flush_feedback(self._store)
                await self._store.flush()
                await self._store.resign()
                if hasattr(self, "_leases"):
                    await self._leases.give_back()
        except (StoreAway, TimeoutError) as trouble:
            LOG.warning("the last counts could not be written: %s", trouble or "no answer")
        finally:
            await self._store.close()

    async def _close_admin(self) -> None:
        if self._admin_runner is not None:
            await self._admin_runner.cleanup()

    async def _close_upstream(self) -> None:
        if hasattr(self, "_upstream"):
            await self._upstream.close()

    async def _close_log(self) -> None:
        if hasattr(self, "_log"):
            await asyncio.to_thread(self._log.close)

    async def _close_embedded(self) -> None:
        if self._embedded is not None:
            await self._embedded.stop()

    # -- duties ----------------------------------------------------------------------------------------------------

    def _duties(self) -> Sequence[Duty]:
        upkeep, config = self._upkeep, self._config
        duties = [
            Duty("flush", lambda: config().store.flush_every, self._flush),
            Duty("govern", lambda: config().pricing.tick, upkeep.govern),
            Duty("poll", lambda: config().store.poll_every, upkeep.poll),
            Duty("refill", lambda: REFILL_S, lambda: upkeep.refill(self._leases)),
            Duty("probe", lambda: config().upstream.probe_every, lambda: upkeep.probe(self._probe)),
            Duty("scrape", lambda: config().upstream.probe_every, self._scrape_all),
            Duty("sweep", lambda: SWEEP_S, self._sweep),
            Duty("watch", lambda: WATCH_S * self._clock.speed, self._watch),
            Duty("log", lambda: config().decision_log.flush_every, lambda: asyncio.to_thread(self._log.flush)),
        ]
        if self._embedded is not None:
            duties.append(Duty("store-server", lambda: 1.0, self._embedded.supervise))
        return [_ending(duty) for duty in duties]

    def _config(self) -> Config:
        return self.runtime.config

    async def _flush(self) -> None:
        await self._data.flush_feedback(self._store)
        await self._store.flush()

    async def _sweep(self) -> None:
        self._pipeline.sweep(self.runtime.dispatcher, self._clock.now_s())

    async def _scrape_all(self) -> None:
        backends = [(m, b) for m in self.runtime.catalog.models.values() for b in m.backends if b.is_self_hosted]
        loads = await asyncio.gather(*(self._scrape.scrape_once(b) for _, b in backends))
        for (model, backend), seen in zip(backends, loads, strict=True):
            if seen is not None and seen.waiting is not None and seen.running is not None:
                self._state.placement.scraped(backend.id, model.name, seen.waiting, seen.running, self._clock.now_s())

    async def _watch(self) -> None:
        content = self._watcher.changed()
        if content is not None:
            self.swap(content)

    def swap(self, content: bytes) -> None:
        """Put an edited configuration in force, or leave everything as it is and say what is wrong."""
        try:
            config = load(self._path, self._environ, content)
            runtime = build(config, self._state, self._scoring, self.runtime.generation + 1, self.runtime)
        except ConfigErrors as exc:
            self._errors = [str(e) for e in exc.errors]
        except (ArtifactError, ValueError) as trouble:
            self._errors = [f"{self._path}: {trouble}"]
        else:
            self._runtime, self._errors = runtime, []
            self._notes = _needing_restart(self._started, config)
            self._data.options, self._upstream.options = config.server, config.upstream
            put_in_force(runtime, self._state)
            self._log_prices()
            LOG.info("configuration %d in force, hash %s", runtime.generation, config.hash)
            for note in self._notes:
                LOG.warning("%s", note)
            return
        for line in self._errors:
            LOG.error("configuration unchanged: %s", line)

    def _log_prices(self) -> None:
        prices, core = self._state.prices, self.runtime.core
        if prices is not None:
            self._log.write(("prices", self._clock.wall_s(), prices, core.gains, self.runtime.config.hash))

    # -- what the admin port shows and does (AdminSources) -----------------------------------------------------------

    def token(self) -> str | None:
        """Return the admin token in force."""
        token = self.runtime.config.admin.token
        return token.reveal() if token is not None else None

    def state(self) -> Mapping[str, Any]:
        """Return the state that page, /admin/state and metrics show."""
        runtime, watched = self.runtime, self._upkeep.watched
        local = runtime.dispatcher.board(self._clock.now_s())
        # A store that is full, or that nobody governs on, still confirms prices, but nobody makes new ones.
        judged_s = self._clock.wall_s() - (watched.board or {}).get("made_wall_s", math.inf)
        local["is_stale"] = max(local["prices_age_s"] or 0.0, judged_s) > runtime.config.store.stale_after
        local["alone_since_wall_s"] = watched.alone_since_wall_s
        local["tenants"] = shown(self._state.limits, self._clock.now_s(), self._clock.wall_s())
        return {
            "wall_s": self._clock.wall_s(),
            "board": watched.board,
            "local": local,
            "worker": {
                "config": {
                    "generation": runtime.generation,
                    "hash": runtime.config.hash,
                    "price_hash": runtime.config.price_hash,
                    "errors": [*self._errors, *([self._watcher.problem] if self._watcher.problem is not None else [])],
                    "notes": list(self._notes),
                    "mode": runtime.config.mode,
                    "path": self._path,
                },
                "routers": {name: runtime.troubles.get(name) for name in runtime.scorers},
                "router_names": {name: scorer.name for name, scorer in runtime.scorers.items()},
                "store": self._store_view(),
                "fleet": asdict(self._store.fleet),
                "duties": dict(watched.errors),
                "is_leader": watched.is_leader,
                "in_flight": self._data.in_flight,
                "decision_log": self._log.view(),
                "decisions": self._log.recent(DECISIONS_SHOWN),
            },
        }

    def metrics_text(self) -> str:
        """Return the Prometheus exposition."""
        return self._metrics.render(self.state())

    async def override(self, change: Mapping[str, Any]) -> None:
        """Carry out a pin, freeze or unpin, and let it act at once here; other replicas follow with their next poll."""
        route = change.get("route")
        if route is not None and route not in self.runtime.catalog.routes:
            raise ValueError(f"there is no route {route!r}; there are {', '.join(self.runtime.catalog.routes)}")
        await self._store.override(change)
        await self._upkeep.poll()

    def _store_view(self) -> dict[str, Any]:
        if isinstance(self._store, MemoryStore):
            return {"kind": "memory", "is_away": False, "last_error": None, "fill": None, "pending_batches": 0}
        health = self._store.health
        view = {"kind": "embedded" if self._embedded else "server", "address": self._store.address, **asdict(health)}
        return {**view, "is_away": health.is_away, "fill": health.memory_fill}


def _ending(duty: Duty) -> Duty:
    """Let a duty end when it is cancelled, even where a library swallowed that.

    The Redis client sends through `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes just as the
    send completes: the process would never end.
    """

    async def round_() -> None:
        try:
            await duty.round()
        finally:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError

    return replace(duty, round=round_)


def busy(key: str, listen: str, trouble: OSError) -> StartError:
    """Say why an address cannot be had."""
    return StartError(f"{key} {listen}: {os.strerror(trouble.errno or 0)}; stop what uses it, or change the address")


def address(listen: str) -> tuple[str, int]:
    """Split `host:port`; brackets around an IPv6 host are taken off."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _needing_restart(started: Config, now: Config) -> list[str]:
    """Name the settings that a running process cannot take over."""
    fixed = {
        "server.listen": (started.server.listen, now.server.listen),
        "admin.listen": (started.admin.listen, now.admin.listen),
        "store": (started.store, now.store),
        "decision_log": (started.decision_log, now.decision_log),
    }
    return [f"{name} was changed: that takes effect at the next start" for name, (old, new) in fixed.items() if old != new]
