"""No byte of a prompt or an answer, and no key, in logs, state, metrics or Redis: the claim of PRIVACY.md, tried on a real process.

A backend that quotes its input in everything it says, errors included, stands behind a gateway in a process of its own. Requests
go right and wrong in every way; then everything that the gateway wrote or shows is searched for their secrets.
"""

import asyncio
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from redis.asyncio import Redis

from gateway.edges.store.binary import EmbeddedRefused, find

try:
    find()
except EmbeddedRefused as exc:
    pytest.skip(f"no embedded store: {exc}", allow_module_level=True)

PROMPT, SYSTEM, TOOL, ANSWER, QUERY, HEADER = (
    f"{word}-5d1f0c9e7b" for word in ("PROMPTMARK", "SYSTEMMARK", "TOOLMARK", "ANSWERMARK", "QUERYMARK", "HEADERMARK")
)
CLIENT_KEY, WRONG_KEY, BACKEND_KEY, TOKEN = "sk-client-8c21d3", "sk-wrong-77e0aa", "sk-backend-90b4f1", "admin-token-31c5d2"
SECRETS = (PROMPT, SYSTEM, TOOL, ANSWER, QUERY, HEADER, CLIENT_KEY, WRONG_KEY, BACKEND_KEY, TOKEN)
TENANT = "acme-corp"

CONFIG = """
server: {{listen: "127.0.0.1:{port}", read_timeout: 2s, body_max: 64KiB}}
admin: {{listen: "127.0.0.1:{admin}", token: "${{TOKEN}}"}}
store: {{url: embedded, directory: "{folder}/state", flush_every: 200ms, poll_every: 200ms}}
upstream: {{ttft_timeout: 1s, idle_timeout: 1s}}
models:
  - name: strong
    tariff: {{input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}}
    context_tokens: 8000
    backends: [{{url: "{backend}", model: real, api_key: "${{BACKEND_KEY}}"}}]
  - name: weak
    tariff: {{input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}}
    context_tokens: 8000
    backends: [{{url: "{backend}", model: real, api_key: "${{BACKEND_KEY}}"}}]
routes: [{{name: auto, models: [strong, weak]}}]
slos:
  - {{name: availability, sli: availability, objective: 0.999, window: 28d}}
  - {{name: spend, sli: {{kind: cost, usd: 5}}, period: calendar-day}}
pricing: {{tick: 300ms}}
classes: [{{name: standard, value: 3, ttft_deadline: 30s}}]
tenants: [{{name: {tenant}, keys: ["sha256:{digest}"], class: standard, may: [choose_model, debug]}}]
decision_log: {{path: "{folder}/decisions.jsonl", flush_every: 200ms}}
"""


@dataclass
class Talkative:
    """A backend that quotes the whole request, and the key it came with, in whatever it answers."""

    url: str = ""
    bodies: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.bodies.append(body)
        said = f"{ANSWER} {request.headers.get('Authorization')} {request.path_qs} {body}"
        way = json.loads(body).get("way", "fine")
        if way.isdigit():
            return web.json_response({"error": {"message": said, "type": "x", "param": None, "code": None}}, status=int(way))
        if way == "page":
            return web.Response(text=f"<html>{said}</html>", status=500, content_type="text/html")
        if way == "nonsense":
            return web.Response(text=said)
        if way == "silent":
            await asyncio.sleep(30)
        if not json.loads(body).get("stream"):
            return web.json_response(whole(said))
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        if way != "error first":
            await stream.write(b"data: " + json.dumps(chunk(said)).encode() + b"\n\n")
        if way.startswith("error"):
            await stream.write(b"data: " + json.dumps({"error": {"message": said, "code": 500}}).encode() + b"\n\n")
            return stream
        if way == "cut":
            assert request.transport is not None
            request.transport.abort()
            return stream
        await stream.write(b"data: " + json.dumps(chunk(said, "stop")).encode() + b"\n\ndata: [DONE]\n\n")
        return stream


def whole(said: str) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }


def chunk(said: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": said}, "finish_reason": finish_reason}],
    }


def asked(way: str = "fine", **more: Any) -> dict[str, Any]:
    """Return a request whose every text is secret; `way` says how the backend answers it."""
    return {
        "model": "auto",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Tell me about {PROMPT}."}],
        "tools": [{"type": "function", "function": {"name": "look", "description": TOOL, "parameters": {"type": "object"}}}],
        "metadata": {"note": PROMPT},
        "user": PROMPT,
        "way": way,
        **more,
    }


@dataclass
class Serving:
    """A gateway in a process of its own, and what it leaves."""

    folder: Path
    url: str
    admin: str
    backend: Talkative
    process: asyncio.subprocess.Process

    async def post(self, body: Any, path: str = "/v1/chat/completions", key: str = CLIENT_KEY) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {key}", "x-request-id": HEADER, "x-session-id": HEADER, "content-type": "application/json"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}{path}?q={QUERY}", data=data, headers=headers) as response:
            try:
                return response.status, await response.text()
            except aiohttp.ClientError:
                return response.status, ""

    async def raw(self, data: bytes) -> bytes:
        """Send bytes that are no proper request."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer

    async def show(self, path: str) -> str:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
            session.get(self.admin + path) as response,
        ):
            assert response.status == 200
            return await response.text()

    async def stored(self) -> str:
        """Return everything that the store holds."""
        client = Redis(unix_socket_path=str(self.folder / "state/store.sock"), decode_responses=True)
        parts = []
        async for key in client.scan_iter():
            kind = await client.type(key)
            held = {
                "string": client.get, "hash": client.hgetall,
                "list": lambda k: client.lrange(k, 0, -1), "zset": lambda k: client.zrange(k, 0, -1),
            }[kind]  # fmt: skip
            parts.append(f"{key} {await held(key)}")
        await client.aclose()
        return "\n".join(parts)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            await asyncio.wait_for(self.process.wait(), 20)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's path has few bytes."""
    path = Path(tempfile.mkdtemp(prefix="sluice-test-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def serving(folder: Path, unused_tcp_port_factory: Any) -> AsyncIterator[Serving]:
    backend, app = Talkative(), web.Application()
    app.router.add_post("/v1/{path:.*}", backend.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    port, admin = unused_tcp_port_factory(), unused_tcp_port_factory()
    digest = hashlib.sha256(CLIENT_KEY.encode()).hexdigest()
    config = CONFIG.format(port=port, admin=admin, folder=folder, backend=backend.url, digest=digest, tenant=TENANT)
    (folder / "sluice.yaml").write_text(config)
    with (folder / "server.err").open("wb") as err, (folder / "server.out").open("wb") as out:
        words = ("-m", "gateway", "serve", "--config", str(folder / "sluice.yaml"), "--guard")
        environ = {"TOKEN": TOKEN, "BACKEND_KEY": BACKEND_KEY, "PYTHONPATH": ":".join(p for p in sys.path if p), "PYTHONASYNCIODEBUG": "1"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdin=asyncio.subprocess.PIPE, stdout=out, stderr=err, env=environ
        )
    serving = Serving(folder, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", backend, process)
    async with asyncio.timeout(30):
        while b"ready" not in (folder / "server.out").read_bytes():
            assert process.returncode is None, (folder / "server.out").read_text() + (folder / "server.err").read_text()
            await asyncio.sleep(0.05)
    yield serving
    await serving.stop()
    await runner.cleanup()


async def misuse(serving: Serving) -> None:
    """Send requests that go right and wrong in every way."""
    ways = ("fine", "400", "401", "403", "404", "422", "500", "503", "page", "nonsense")
    streamed = ("fine", "500", "cut", "error first", "error later", "silent")
    answers = []
    for body in [asked(way, model="strong") for way in ways] + [asked(way, model="strong", stream=True) for way in streamed]:
        answers.append(await serving.post(body))
        good = await serving.post(asked(model="strong"))  # Or the breaker would open and spare the backend the rest.
        assert good[0] == 200 and PROMPT in good[1] and ANSWER in good[1]
    answers += [await serving.post(asked("429")), await serving.post(asked("500"))]
    assert {status for status, _ in answers} >= {200, 400, 404, 422, 429, 500, 502, 503, 504}
    refused = [
        await serving.post(asked(model=f"{PROMPT}-model")),
        await serving.post(asked(), key=WRONG_KEY),
        await serving.post({**asked(), "messages": [{"role": "user", "content": PROMPT * 5000}]}),
        await serving.post(json.dumps(asked()).encode()[:-9]),
        await serving.post({"messages": PROMPT, "model": "auto"}),
        await serving.post(asked(), path=f"/v1/{PROMPT}"),
        await serving.post({"request_id": "req_111111111111111111111111", "verdict": "good", "comment": PROMPT}, path="/v1/feedback"),
        await serving.post({"request_id": "req_111111111111111111111111", "verdict": PROMPT}, path="/v1/feedback"),
    ]
    assert [status for status, _ in refused] == [404, 401, 413, 400, 400, 404, 400, 400]
    await serving.post({"request_id": "req_111111111111111111111111", "verdict": "bad"}, path="/v1/feedback")
    await serving.post({"model": "auto", "input": PROMPT}, path="/v1/embeddings")
    await serving.post({"model": "auto", "prompt": PROMPT}, path="/v1/completions")
    for broken in (f"{PROMPT}\r\n\r\n", f"POST /{PROMPT} HTTP/1.1\r\nAuthorization: Bearer {CLIENT_KEY}\r\n {PROMPT}: x\r\n\r\n"):
        assert await serving.raw(broken.encode())
    await asyncio.wait_for(leave_early(serving), 5)


async def leave_early(serving: Serving) -> None:
    """Go away in the middle of an answer that does not come."""
    task = asyncio.ensure_future(serving.post(asked("silent", stream=True)))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def found(text: str) -> list[str]:
    """Return the secrets that a text holds, as they are or as JSON and reprs may spell them."""
    return [secret for secret in SECRETS if secret in text or secret.encode().hex() in text]


async def test_nothing_that_the_gateway_writes_or_shows_holds_a_prompt_an_answer_or_a_key(serving: Serving) -> None:
    await misuse(serving)
    await asyncio.sleep(1.0)  # Every duty has had its round: flush, tick, log.
    shown = {path: await serving.show(path) for path in ("/admin/state", "/metrics")}
    shown["the store"] = await serving.stored()
    await serving.stop()
    assert serving.process.returncode == 0
    written = {f.relative_to(serving.folder).as_posix(): f.read_bytes() for f in serving.folder.rglob("*") if f.is_file()}

    # The search looks in the right places: what should be there is there.
    assert sum(PROMPT in body and SYSTEM in body and TOOL in body for body in serving.backend.bodies) > 15
    decisions = [json.loads(line) for line in written["decisions.jsonl"].splitlines()]
    assert sum(line["kind"] == "decision" for line in decisions) > 15
    assert {line["tenant"] for line in decisions if line["kind"] == "decision"} == {TENANT}
    assert TENANT in shown["the store"] and "slot" in shown["the store"]
    assert any(TENANT.encode() in content for name, content in written.items() if name.startswith("state/appendonlydir/"))
    assert TENANT in shown["/admin/state"] and "sluice_requests_total" in shown["/metrics"]

    leaks = {name: found(text) for name, text in shown.items()}
    leaks |= {name: found(content.decode("latin-1")) for name, content in written.items() if name != "sluice.yaml"}
    assert not {name: secrets for name, secrets in leaks.items() if secrets}
