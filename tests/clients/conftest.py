"""A gateway as users run it, a process with its embedded store, in front of two simulated backends, for real clients."""

import hashlib
import json
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from load.processes import Child, free_addresses

ADMIN_TOKEN, BACKEND_KEY = "admin-token-of-a-test", "backend-secret"
KEYS = {name: f"sk-{name}" for name in ("full", "plain", "worker", "spender", "hurried", "rated")}
"""API key by tenant."""
CONFIG = """
server: {{listen: "{data}"}}
admin: {{listen: "{admin}", token: {token}}}
store: {{url: embedded, directory: "{folder}/state"}}
models:
  - name: strong
    tariff: {{input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}}
    context_tokens: 128000
    backends: [{{url: "{strong}/v1", model: strong-model, engine: vllm, api_key: "${{BACKEND_KEY}}"}}]
  - name: weak
    tariff: {{input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}}
    context_tokens: 32000
    backends: [{{url: "{weak}/v1", model: weak-model, engine: vllm, api_key: "${{BACKEND_KEY}}", pending_tokens_max: 4096}}]
routes:
  - {{name: auto, models: [strong, weak], router: {{artifact: builtin, fallback_strong_share: 0.5}}}}
  - {{name: small, models: [weak]}}
slos:
  - {{name: availability, sli: {{kind: availability}}, objective: 0.99, window: 28d}}
classes:
  - {{name: critical, value: 10, ttft_deadline: 5s}}
  - {{name: standard, value: 3, ttft_deadline: 30s}}
  - {{name: batch, value: 1, ttft_deadline: 10m}}
  - {{name: hurried, value: 0.5, ttft_deadline: 200ms}}
tenants:
  - {{name: full, class: standard, keys: ["{full}"], may: [choose_model, threshold, debug, raise_class]}}
  - {{name: plain, class: standard, keys: ["{plain}"]}}
  - {{name: worker, class: batch, keys: ["{worker}"], may: [debug]}}
  - {{name: spender, class: standard, keys: ["{spender}"], limits: {{usd_per_day: 0.000001}}}}
  - {{name: rated, class: standard, keys: ["{rated}"], limits: {{rpm: 60}}}}
  - {{name: hurried, class: hurried, keys: ["{hurried}"]}}
upstream: {{probe_every: 100ms}}
decision_log: {{path: "{folder}/decisions.jsonl"}}
"""


def call(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    """Make one JSON call that must succeed."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})}, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())


class Simulated:
    """The switch of one simulated backend."""

    def __init__(self, url: str) -> None:
        self.url, self.was_broken = url, False

    @property
    def last(self) -> Any:
        """The last request as it came."""
        return call("GET", f"{self.url}/sim/last")

    @property
    def last_body(self) -> Any:
        return json.loads(self.last["body"])

    @property
    def last_headers(self) -> dict[str, str]:
        return {name.lower(): text for name, text in self.last["headers"]}

    @property
    def state(self) -> Any:
        return call("GET", f"{self.url}/sim/state")

    def break_(self, kind: str, **more: Any) -> None:
        self.was_broken = True
        call("POST", f"{self.url}/sim/fault", {"kind": kind, **more})

    def mend(self) -> None:
        call("DELETE", f"{self.url}/sim/fault")


class House:
    """What is running, as its clients reach it."""

    def __init__(self, url: str, admin: str, strong: Simulated, weak: Simulated) -> None:
        self.url, self.base_url, self.admin, self.strong, self.weak = url, f"{url}/v1", admin, strong, weak

    def sdk(self, tenant: str = "full", **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.base_url, api_key=KEYS[tenant], **{"max_retries": 0, "timeout": 20.0, **options})

    def async_sdk(self, tenant: str = "full", **options: Any) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=self.base_url, api_key=KEYS[tenant], **{"max_retries": 0, "timeout": 20.0, **options})

    def state(self) -> Any:
        return call("GET", f"{self.admin}/admin/state", headers={"authorization": f"Bearer {ADMIN_TOKEN}"})

    def breakers(self) -> dict[str, str]:
        return {b["model"]: b["breaker"] for b in self.state()["local"]["backends"]}

    def mend(self) -> None:
        """Repair both backends and wait until the gateway trusts them again."""
        until_s, client = time.monotonic() + 20, self.sdk()
        for name, backend in (("strong", self.strong), ("weak", self.weak)):
            backend.mend()
            served = 0
            while self.breakers()[name] != "closed" or not served:
                assert time.monotonic() < until_s, f"{name} does not come back"
                try:
                    client.chat.completions.create(model=name, messages=[{"role": "user", "content": "hi"}], max_tokens=1)
                    served += 1
                except openai.APIStatusError:
                    time.sleep(0.05)
            backend.was_broken = False

    def decisions(self) -> list[Any]:
        """Last decisions, newest first."""
        found: list[Any] = call("GET", f"{self.admin}/admin/decisions?n=50", headers={"authorization": f"Bearer {ADMIN_TOKEN}"})[
            "decisions"
        ]
        return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="sluice-") as name:
        yield Path(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _running(folder: Path) -> AsyncIterator[House]:
    children: list[Child] = []
    try:
        backends = {}
        for name in ("strong", "weak"):
            words = ("load.backend", "--model", f"{name}-model", "--preset", "h100", "--output-tokens-mean", "20000", "--guard")
            children.append(await Child.start(name, words, folder / f"{name}.log"))
            backends[name] = (await children[-1].ready("listening on ")).split()[0]
        data, admin = free_addresses(2)
        digests = {name: "sha256:" + hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
        config = folder / "sluice.yaml"
        config.write_text(CONFIG.format(data=data, admin=admin, token=ADMIN_TOKEN, folder=folder, **backends, **digests))
        serve = ("gateway", "serve", "--config", str(config), "--guard")
        children.append(await Child.start("gateway", serve, folder / "gateway.log", {"BACKEND_KEY": BACKEND_KEY}))
        url = await children[-1].ready("ready ")
        yield House(url, f"http://{admin}", Simulated(backends["strong"]), Simulated(backends["weak"]))
    finally:
        for child in reversed(children):
            await child.stop()
    log = (folder / "gateway.log").read_text()
    assert "Traceback" not in log, log


@pytest.fixture
def house(_running: House) -> Iterator[House]:
    """The running gateway; what a test breaks is mended after it."""
    yield _running
    if _running.strong.was_broken or _running.weak.was_broken:
        _running.mend()


@pytest.fixture
def counted() -> tuple[Any, list[str]]:
    """An HTTP client for the SDK, and the list of the requests that it has made."""
    made: list[str] = []
    return openai.DefaultHttpxClient(event_hooks={"request": [lambda request: made.append(str(request.url))]}), made


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait until something holds, or fail."""

    def wait(holds: Callable[[], bool], within_s: float = 5.0) -> None:
        until_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < until_s, f"did not happen within {within_s} s"
            time.sleep(0.01)

    return wait
