"""The page in a real browser: it draws what the state says, and its content policy is never hurt. Skipped without Chromium."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """One tab, led over the browser's debugging protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._sent = socket, 0
        self.complaints: list[str] = []
        """Errors of scripts, and what the content policy blocked."""

    async def ask(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": params})
        while True:
            message = json.loads((await self._socket.receive()).data)
            if message.get("id") == self._sent:
                return message["result"]
            if message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"]))

    async def run(self, script: str) -> Any:
        """Return the value of an expression on the page."""
        return (await self.ask("Runtime.evaluate", expression=script))["result"].get("value")

    async def text_with(self, wanted: str) -> str:
        """Return the page's text once it holds some words, or after ten seconds."""
        text = ""
        for _ in range(100):
            text = await self.run("document.body ? document.body.innerText : ''")
            if wanted in text:
                break
            await asyncio.sleep(0.1)
        return text


@asynccontextmanager
async def opened(url: str, profile: Path, width: int = 1280) -> AsyncIterator[Page]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(browser, *FLAGS, f"--user-data-dir={profile}", "about:blank", stdout=quiet, stderr=quiet)
    try:
        port_file = profile / "DevToolsActivePort"
        async with asyncio.timeout(30):
            while not port_file.exists() or not port_file.read_text().strip():
                await asyncio.sleep(0.05)
        port = port_file.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                tab = next(t for t in await answer.json() if t["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Runtime", "Log", "Page"):
                    await page.ask(f"{domain}.enable")
                await page.ask("Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=False)
                await page.ask("Page.navigate", url=url)
                yield page
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 600])
async def test_the_page_draws_the_state_and_breaks_no_policy(house: Any, tmp_path: Path, width: int) -> None:
    await house.override({"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 3600.0, "by": "kim"})
    assert [house.limited(0.02) for _ in range(3)] == [True, True, False]
    async with opened(f"{house.url}/?token=admin-token", tmp_path / "profile", width) as page:
        text = await page.text_with("1 bad of 41")
        assert page.complaints == []
        for wanted in (
            "availability",
            "first-token",
            "$1.00 of spend",
            "1 bad of 41",
            "upstream_error",
            "closed",
            "connected",
            "generation 1",
            "Limits of tenants",
            "0.05 dollars per day (UTC) for model strong",
            "12 requests per minute for this key",
            "key abababab…",
        ):
            assert wanted in text, wanted
        assert "Route auto is pinned at threshold 0.3 by kim" in text
        assert "Route other is not scored, its declared share answers: its folder is gone" in text
        assert "undefined" not in text
        assert "NaN" not in text
        assert await page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert await page.run("document.cookie") == ""
        assert await page.run("location.search") == ""


@pytest.mark.slow
async def test_without_limited_tenants_there_is_no_table_of_limits(house: Any, tmp_path: Path) -> None:
    async with opened(f"{house.url}/?token=admin-token", tmp_path / "profile") as page:
        assert "Limits of tenants" not in await page.text_with("1 bad of 41")


@pytest.mark.slow
async def test_an_opened_decision_stays_open_while_others_come(house: Any, tmp_path: Path) -> None:
    async with opened(f"{house.url}/?token=admin-token", tmp_path / "profile") as page:
        await page.text_with("scores")
        await page.run("document.querySelector('button.more').focus(); document.activeElement.click()")
        assert "request req_0040" in await page.text_with("request req_0040")
        house.request(41)
        for _ in range(50):
            if await page.run("document.querySelectorAll('#decisions > tr:not(.detail)')[0].innerText.includes('served')"):
                break
            await asyncio.sleep(0.1)
        assert "request req_0040" in await page.text_with("request req_0040")
        assert await page.run("document.activeElement.getAttribute('aria-label')") == "Scores of req_0040"
        assert await page.run("document.activeElement.getAttribute('aria-expanded')") == "true"


@pytest.mark.slow
async def test_a_gateway_that_stops_is_seen_and_one_that_comes_back_is_shown_again(house: Any, tmp_path: Path) -> None:
    async with opened(f"{house.url}/?token=admin-token", tmp_path / "profile") as page:
        await page.text_with("live")
        port = await house.stop()
        assert "disconnected; showing" in await page.text_with("disconnected")
        assert await page.run("document.getElementById('main').classList.contains('old')")
        await house.start(port)
        assert "disconnected" not in await page.text_with("live")


@pytest.mark.slow
async def test_without_the_token_the_page_says_how_to_get_in(house: Any, tmp_path: Path) -> None:
    async with opened(f"{house.url}/", tmp_path / "profile") as page:
        text = await page.text_with("admin token")
        assert "This page needs the admin token" in text
        assert "availability" not in text
