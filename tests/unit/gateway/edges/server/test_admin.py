"""The admin port: who may come in, and what they see; over real sockets."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.edges.server import admin
from gateway.edges.server.admin import COOKIE, Admin
from gateway.ports import StoreAway

TOKEN = "admin-token-äöü"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Client = TestClient[web.Request, web.Application]


class Sources:
    """A state that counts how often it was asked for."""

    def __init__(self) -> None:
        self.now_token: str | None = TOKEN
        self.asked = 0
        self.changes: list[Mapping[str, Any]] = []
        self.fault: Exception | None = None

    def token(self) -> str | None:
        return self.now_token

    def state(self) -> Mapping[str, Any]:
        self.asked += 1
        return {
            "wall_s": 1000.0 + self.asked,
            "board": {"alpha_ref": {"auto": 0.4}, "mode": "green"},
            "local": {"tenants": {"known": 40, "limits": [{"amount": 60, "remaining": 60 - i, "refused": 0} for i in range(40)]}},
            "worker": {"decisions": [{"request_id": f"r{i}"} for i in range(50)]},
        }

    def metrics_text(self) -> str:
        return "sluice_up 1\n"

    async def override(self, change: Mapping[str, Any]) -> None:
        if self.fault is not None:
            raise self.fault
        self.changes.append(change)


@pytest.fixture
def sources() -> Sources:
    return Sources()


@pytest.fixture
async def client(sources: Sources) -> AsyncIterator[Client]:
    async with TestClient(TestServer(Admin(sources, event_every_s=0.02).app()), cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield client


async def test_without_the_token_there_is_only_a_page_that_says_how(client: Client) -> None:
    answer = await client.get("/")
    assert answer.status == 401
    assert "/?token=TOKEN" in await answer.text()
    for path in ("/admin/state", "/admin/events", "/admin/decisions", "/no-such"):
        answer = await client.get(path)
        assert answer.status == 401, path
        assert "Authorization: Bearer" in (await answer.json())["error"]
    assert (await client.post("/admin/override", json={})).status == 401


async def test_the_bearer_token_lets_in(client: Client) -> None:
    answer = await client.get("/admin/state", headers=BEARER)
    assert answer.status == 200
    assert (await answer.json())["board"]["mode"] == "green"


@pytest.mark.parametrize("value", ["Bearer wrong", "Bearer", "Basic abc", "Bearer " + TOKEN + "x", TOKEN])
async def test_anything_else_does_not(client: Client, value: str) -> None:
    assert (await client.get("/admin/state", headers={"Authorization": value})).status == 401


async def test_the_link_sets_a_cookie_once_and_leaves_the_address_bar(client: Client) -> None:
    answer = await client.get("/", params={"token": TOKEN}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "admin-token" not in cookie
    value = answer.cookies[COOKIE].value
    assert (await client.get("/", headers={"Cookie": f"{COOKIE}={value}"})).status == 200
    assert (await client.get("/admin/state", headers={"Cookie": f"{COOKIE}={value}"})).status == 200
    assert (await client.get("/admin/state", headers={"Cookie": f"{COOKIE}={value}0"})).status == 401
    assert (await client.get("/", params={"token": "wrong"}, allow_redirects=False)).status == 401


async def test_a_changed_token_shuts_out_the_old_one_at_once(client: Client, sources: Sources) -> None:
    answer = await client.get("/", params={"token": TOKEN}, allow_redirects=False)
    cookie = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}
    sources.now_token = "another"
    assert (await client.get("/admin/state", headers=BEARER)).status == 401
    assert (await client.get("/admin/state", headers=cookie)).status == 401
    assert (await client.get("/admin/state", headers={"Authorization": "bearer another"})).status == 200


async def test_without_a_configured_token_only_a_loopback_name_is_served(client: Client, sources: Sources) -> None:
    sources.now_token = None
    assert client.port is not None
    for host in ("localhost", f"localhost:{client.port}", "127.0.0.1", "[::1]:8081"):
        assert (await client.get("/admin/state", headers={"Host": host})).status == 200, host
    for host in ("evil.example", "evil.example:8081", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "["):
        assert (await client.get("/admin/state", headers={"Host": host})).status == 403, host


async def test_another_machine_needs_a_configured_token_even_for_metrics(sources: Sources) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent; it only asks which address would be ours
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]
    async with TestServer(Admin(sources).app(), host=own) as server, aiohttp.ClientSession() as session:
        assert (await session.get(server.make_url("/metrics"))).status == 401
        assert (await session.get(server.make_url("/metrics"), headers=BEARER)).status == 200
        sources.now_token = None
        assert (await session.get(server.make_url("/metrics"))).status == 403


async def test_metrics_are_open_to_this_machine(client: Client) -> None:
    answer = await client.get("/metrics")
    assert (answer.status, await answer.text()) == (200, "sluice_up 1\n")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_every_answer_carries_the_security_headers(client: Client) -> None:
    for path in ("/", "/page.js", "/metrics", "/admin/state", "/no-such"):
        answer = await client.get(path, headers=BEARER)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), path
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_page_script_and_style_are_served_with_their_types(client: Client) -> None:
    types = {"/": "text/html", "/page.js": "text/javascript", "/page.css": "text/css"}
    for path, kind in types.items():
        answer = await client.get(path, headers=BEARER)
        assert (answer.status, answer.content_type) == (200, kind)


def test_the_page_holds_no_inline_script_or_style_and_loads_nothing_foreign() -> None:
    for name in ("index.html", "401.html"):
        text = (files("gateway.edges.server") / "page" / name).read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), name
        assert not re.search(r"""(?:src|href)=["'](?!/|data:)""", text), name
    script = (files("gateway.edges.server") / "page" / "page.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script)


async def test_every_id_that_the_script_uses_is_on_the_page() -> None:
    page = files("gateway.edges.server") / "page"
    used = set(re.findall(r'\$\("([\w-]+)"\)', (page / "page.js").read_text()))
    assert used
    assert used <= set(re.findall(r'id="([\w-]+)"', (page / "index.html").read_text()))


async def test_the_state_is_shortened_for_the_page_and_all_decisions_are_apart(client: Client) -> None:
    state = await (await client.get("/admin/state", headers=BEARER)).json()
    assert len(state["worker"]["decisions"]) == admin.DECISIONS_SHOWN
    decisions = await (await client.get("/admin/decisions?n=40", headers=BEARER)).json()
    assert [d["request_id"] for d in decisions["decisions"]] == [f"r{i}" for i in range(40)]
    assert (await client.get("/admin/decisions?n=-3", headers=BEARER)).status == 200
    assert (await client.get("/admin/decisions?n=x", headers=BEARER)).status == 400


async def test_of_the_limits_the_tightest_are_shown(client: Client) -> None:
    tenants = (await (await client.get("/admin/state", headers=BEARER)).json())["local"]["tenants"]
    assert [limit["remaining"] for limit in tenants["limits"]] == list(range(21, 46)) and tenants["known"] == 40


async def events(answer: aiohttp.ClientResponse, n: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    while len(found) < n:
        kind = (await answer.content.readuntil(b"\n")).decode().removeprefix("event: ").strip()
        data = json.loads((await answer.content.readuntil(b"\n\n")).decode().removeprefix("data: "))
        found.append((kind, data))
    return found


async def test_live_events_begin_with_the_history_and_go_on_with_states(client: Client) -> None:
    async with client.get("/admin/events", headers=BEARER) as answer:
        assert answer.content_type == "text/event-stream"
        got = await events(answer, 4)
    assert [kind for kind, _ in got] == ["trail", "state", "state", "state"]
    assert [data["wall_s"] for _, data in got[1:]] == [1001.0, 1002.0, 1003.0]
    async with client.get("/admin/events", headers=BEARER) as answer:
        [(_, trail)] = await events(answer, 1)
    assert [point["wall_s"] for point in trail][:3] == [1001.0, 1002.0, 1003.0]
    assert trail[0]["alpha_ref"] == {"auto": 0.4}


async def test_watchers_are_bounded_and_leave_their_place(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "WATCHERS_MAX", 2)
    first, second = [await client.get("/admin/events", headers=BEARER) for _ in range(2)]
    refused = await client.get("/admin/events", headers=BEARER)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
    first.close()
    status = 503
    for _ in range(100):
        third = await client.get("/admin/events", headers=BEARER)
        status = third.status
        third.close()
        if status == 200:
            break
        await asyncio.sleep(0.02)
    assert status == 200
    second.close()


async def test_a_stop_ends_the_live_events_at_once(sources: Sources) -> None:
    server = TestServer(Admin(sources, event_every_s=30.0).app())
    await server.start_server()
    async with aiohttp.ClientSession() as session, session.get(server.make_url("/admin/events"), headers=BEARER) as answer:
        await events(answer, 2)
        async with asyncio.timeout(5):
            await server.close()
            assert await answer.content.read() == b""


async def override(client: Client, **kwargs: Any) -> tuple[int, dict[str, Any]]:
    answer = await client.post("/admin/override", headers={**BEARER, **kwargs.pop("headers", {})}, **kwargs)
    return answer.status, await answer.json()


async def test_an_override_is_checked_and_carried_out(client: Client, sources: Sources) -> None:
    change = {"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 60.0, "by": "kim"}
    assert await override(client, json=change) == (200, {"done": change})
    assert sources.changes == [change]
    status, body = await override(client, json={"verb": "pin"})
    assert status == 400
    assert "route" in body["error"]


async def test_a_refused_override_says_why(client: Client, sources: Sources) -> None:
    sources.fault = ValueError("no route 'autoo'")
    assert await override(client, json={"verb": "unpin", "route": "autoo"}) == (400, {"error": "no route 'autoo'"})
    sources.fault = StoreAway("connection refused")
    status, body = await override(client, json={"verb": "unpin"})
    assert status == 503
    assert "nothing was changed" in body["error"]


@pytest.mark.parametrize("send", [{"data": "verb=unpin"}, {"data": b"{}", "headers": {"Content-Type": "text/plain"}}])
async def test_what_a_foreign_page_can_send_is_refused(client: Client, sources: Sources, send: dict[str, Any]) -> None:
    status, _ = await override(client, **send)
    assert status == 415
    assert sources.changes == []


async def test_a_foreign_origin_is_refused_and_our_own_is_not(client: Client, sources: Sources) -> None:
    assert (await override(client, json={"verb": "unpin"}, headers={"Origin": "https://evil.example"}))[0] == 403
    assert (await override(client, json={"verb": "unpin"}, headers={"Origin": "null"}))[0] == 403
    assert (await override(client, json={"verb": "unpin"}, headers={"Origin": f"http://127.0.0.1:{client.port}"}))[0] == 200
    assert len(sources.changes) == 1
