"""The admin port: page, state, live events, overrides and metrics; a listener of its own, never on the data port.

Who may come in: a bearer token, or the page's cookie, which `/?token=...` sets once (HttpOnly, SameSite=Strict, and not
the token itself but a keyed digest of it, since cookies do not know ports). Without a configured token only this machine
may, and only under a loopback name, so that no web page reaches us by rebinding its own name. `/metrics` is open to
this machine. Serve it without an access log: a log would keep `?token=`.

State, as `AdminSources.state` returns it and page and metrics read it; every part may be missing:
    wall_s      Unix time at which it was made
    board       what the governor published, fleet-wide: made_wall_s, law, mode, alpha_ref {route: α}, alpha_by_class {route: {class: α}},
                version, fencing_token, budgets [...], infeasible [...], exhausted [...], request_rate,
                traffic {models, classes, sheds, reasons}, config_hash
    local       this process: backends [...], queue {waiting}, fairness, prices_version, prices_age_s, is_stale,
                alone_since_wall_s (it prices by its own counts; null while it does not),
                tenants {known, refused {kind: requests}, limits [{tenant, scope, of, kind, said, amount, remaining, at_hand, used, refused,
                whole_s, is_share}]}: hard limits that were used since the start, tightest first,
                overrides {pins [...], frozen_until_wall_s}
    worker      config {generation, hash, price_hash, errors, mode}, store {is_away, last_error, fill, pending_batches, lost_batches,
                clock_offset_s, mismatches, last_mismatch, schema_before},
                fleet {replicas, generation, newest, behind}: of the replicas on the store, by generation of configuration,
                decision_log {...}, decisions [newest first, lines of the decision log],
                routers {route: why its fallback answers, or null}, duties {background duty: its last error}
"""

import asyncio
import hmac
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from gateway.edges.server.overrides import read_change
from gateway.ports import StoreAway

COOKIE = "sluice_admin"
COOKIE_LIFE_S = 30 * 86_400
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WATCHERS_MAX = 16
EVENT_TIMEOUT_S = 10.0
"""A watcher that does not read for this long is dropped."""
DECISIONS_SHOWN = 25
LIMITS_SHOWN = 25
TRAIL_MAX = 900
"""Points of history kept for the page's lines: 15 minutes of one a second."""
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
PAGE_FILES = {"/": "index.html", "/page.js": "page.js", "/page.css": "page.css", "/401": "401.html"}
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
OPEN_PATHS = frozenset({"/page.js", "/page.css"})


class AdminSources(Protocol):
    """What the admin port shows and does; wired by the process."""

    def token(self) -> str | None:
        """Return the token in force; None lets in this machine only."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return the state as this module's head describes it."""
        ...

    def metrics_text(self) -> str:
        """Return the Prometheus exposition."""
        ...

    async def override(self, change: Mapping[str, Any]) -> None:
        """Carry out a pin, freeze or unpin, as `overrides.read_change` returns it.

        Raises: ValueError with a message for the operator, StoreAway.
        """
        ...


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Admin:
    """Handlers of the admin port.

    Args:
        sources: where data comes from and overrides go.
        event_every_s: pause between two live events.
    """

    def __init__(self, sources: AdminSources, event_every_s: float = 1.0) -> None:
        self._sources, self._every_s = sources, event_every_s
        self._watchers = 0
        self._trail: deque[dict[str, Any]] = deque(maxlen=TRAIL_MAX)
        self._stopping = asyncio.Event()
        page = files("gateway.edges.server") / "page"
        self._page = {path: (page / name).read_bytes() for path, name in PAGE_FILES.items()}

    def app(self) -> web.Application:
        """Return the application for the admin listener."""
        app = web.Application(middlewares=[self._guard], client_max_size=64 * 1024)
        app.router.add_get("/", self._file)
        for path in OPEN_PATHS:
            app.router.add_get(path, self._file)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/admin/state", self._state)
        app.router.add_get("/admin/events", self._events, allow_head=False)
        app.router.add_get("/admin/decisions", self._decisions)
        app.router.add_post("/admin/override", self._override)
        app.on_shutdown.append(self._stop)
        app.on_response_prepare.append(_secure)
        return app

    async def _stop(self, _app: web.Application) -> None:
        self._stopping.set()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who may come in."""
        token, is_here = self._sources.token(), _is_loopback(request.remote)
        if not token and not (is_here and _is_loopback(_host_name(request))):
            return _refusal(403, "without an admin token only this machine may look, under the name localhost or a loopback address")
        if token and request.path == "/" and "token" in request.query:
            return self._log_in(request, token)
        is_open = request.path in OPEN_PATHS or (request.path == "/metrics" and is_here)
        if token and not is_open and not _is_known(request, token):
            if request.path == "/":
                return web.Response(body=self._page["/401"], status=401, content_type="text/html", charset="utf-8")
            return _refusal(401, "send the admin token: Authorization: Bearer TOKEN")
        return await handler(request)

    def _log_in(self, request: web.Request, token: str) -> web.Response:
        """Turn `?token=` into a cookie, once, and get it out of the address bar."""
        if not _is_same(request.query["token"], token):
            return web.Response(body=self._page["/401"], status=401, content_type="text/html", charset="utf-8")
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE, _cookie(token), max_age=COOKIE_LIFE_S, httponly=True, samesite="Strict", secure=request.secure, path="/"
        )
        return response

    async def _file(self, request: web.Request) -> web.Response:
        name = PAGE_FILES[request.path]
        return web.Response(body=self._page[request.path], content_type=TYPES[name.rsplit(".", 1)[1]], charset="utf-8")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._sources.metrics_text().encode(), headers={"Content-Type": METRICS_TYPE})

    async def _state(self, _request: web.Request) -> web.Response:
        return _json(self._noted())

    async def _decisions(self, request: web.Request) -> web.Response:
        try:
            n = int(request.query.get("n", "50"))
        except ValueError:
            return _refusal(400, "n: a whole number")
        worker = self._sources.state().get("worker") or {}
        return _json({"decisions": list(worker.get("decisions") or ())[: max(0, n)]})

    async def _override(self, request: web.Request) -> web.Response:
        # A browser sends JSON to another site only after asking that site, and we never agree.
        if request.content_type != "application/json":
            return _refusal(415, "send application/json")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return _refusal(403, "this page is not ours")
        try:
            change = read_change(await request.read())
            await self._sources.override(change)
        except ValueError as exc:
            return _refusal(400, str(exc))
        except StoreAway as exc:
            return _refusal(503, f"the store is away, nothing was changed: {exc}", {"Retry-After": "5"})
        return _json({"done": change})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send the history once and the state every second, until either side leaves."""
        if self._watchers >= WATCHERS_MAX:
            return _refusal(503, f"{WATCHERS_MAX} pages are watching already", {"Retry-After": "10"})
        self._watchers += 1
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
            await response.prepare(request)
            state = self._noted()
            await self._send(response, b"trail", list(self._trail))
            while not self._stopping.is_set():
                await self._send(response, b"state", state)
                try:
                    await asyncio.wait_for(self._stopping.wait(), self._every_s)
                except TimeoutError:
                    state = self._noted()
            return response
        except (ConnectionError, TimeoutError):
            return response
        finally:
            self._watchers -= 1

    async def _send(self, response: web.StreamResponse, event: bytes, data: Any) -> None:
        async with asyncio.timeout(EVENT_TIMEOUT_S):
            await response.write(b"event: %b\ndata: %b\n\n" % (event, msgspec.json.encode(data)))

    def _noted(self) -> dict[str, Any]:
        """Return the state, shortened for the page, and keep a point of it for the lines."""
        state = dict(self._sources.state())
        worker = dict(state.get("worker") or {})
        if "decisions" in worker:
            worker["decisions"] = list(worker["decisions"])[:DECISIONS_SHOWN]
            state["worker"] = worker
        local = dict(state.get("local") or {})
        if "tenants" in local:
            tightest = sorted(local["tenants"]["limits"], key=_tightness)[:LIMITS_SHOWN]
            state["local"] = local | {"tenants": {**local["tenants"], "limits": tightest}}
        board: Mapping[str, Any] = state.get("board") or {}
        point = {"wall_s": state.get("wall_s"), "alpha_ref": board.get("alpha_ref"), "mode": board.get("mode")}
        if point["alpha_ref"] and (not self._trail or point["wall_s"] - self._trail[-1]["wall_s"] >= self._every_s / 2):
            self._trail.append(point)
        return state


def _tightness(limit: Mapping[str, Any]) -> tuple[float, int]:
    return limit["remaining"] / limit["amount"] if limit["amount"] else 0.0, -limit["refused"]


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every answer, errors of the router included."""
    response.headers.update(SECURITY_HEADERS)


def _is_known(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _is_same(given.strip(), token)
    return _is_same(request.cookies.get(COOKIE, ""), _cookie(token))


def _is_same(given: str, wanted: str) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def _cookie(token: str) -> str:
    return hmac.new(token.encode(), b"sluice admin page", sha256).hexdigest()


def _host_name(request: web.Request) -> str | None:
    try:
        return urlsplit(f"//{request.host}").hostname
    except ValueError:
        return None


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def _json(data: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), content_type="application/json")


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode({"error": message}), content_type="application/json", headers=headers)
