"""Two real, very small language models behind the gateway: `make demo-real`.

Thirty questions with known answers (`templates/questions.yaml`) go through the gateway in four ways: always to the weak model
(threshold 1), always to the strong one (threshold 0), by the router at the median of its own predictions, and under a budget of
dollars for about half strong, which the law has to meet by itself. Printed: right answers, strong share, tokens, dollars and
time to first token of each, and whether the router's choice was better than a coin's. Tariffs are made up.

What it shows is the machine at work on answers that nobody simulated. It says little about routing as such: 135 and 270 million
parameters, thirty questions, and a router trained on other models.
"""

import argparse
import asyncio
import math
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

from gateway.domain.catalog import Tariff
from load.llama import CONTEXT_TOKENS, LICENCES, SLOTS
from load.processes import Child, ChildRefused, free_addresses

QUESTIONS = Path(__file__).parent / "templates" / "questions.yaml"
TARIFFS = {"strong": Tariff(2.5, 10.0), "weak": Tariff(0.15, 0.6)}
"""Dollars per million tokens, made up; the ratio is that of real large and small models."""
ANSWER_TOKENS_MAX = 32
SLOT_S = 10
ROUNDS = 2
"""How often all questions are asked under the budget."""
PACE_S_MIN = 0.5
PACE_SLACK = 2.0
"""Time between requests under the budget, as a multiple of a mean request of both models."""
TAIL = 4
"""The budget's period has a last part without traffic, a fourth as long as the rest, so that what is slow still falls into it."""
HALF_STRONG = 0.5
READY_WAIT_S = 120.0
USAGE = 2
CONFIG = """
auth: none
server: {{listen: "{data}"}}
admin: {{listen: "{admin}"}}
store: {{url: embedded, directory: "{folder}/state", flush_every: 300ms, poll_every: 300ms}}
models:
  - name: strong
    tariff: {strong_tariff}
    context_tokens: {context}
    backends: [{{url: "{strong}/v1", model: strong, engine: llamacpp}}]
  - name: weak
    tariff: {weak_tariff}
    context_tokens: {context}
    backends: [{{url: "{weak}/v1", model: weak, engine: llamacpp}}]
routes:
  - {{name: auto, models: [strong, weak], router: {{artifact: builtin}}}}
slos:
  - {{name: availability, sli: {{kind: availability}}, objective: 0.99, window: 28d}}
{budget}
pricing: {{law: shadow_price, tick: 1s}}
classes:
  - {{name: standard, value: 1, ttft_deadline: 60s}}
tenants:
  - {{name: open, class: standard, may: [choose_model, threshold, debug]}}
"""
BUDGET = """  - name: spend
    sli: {{kind: cost, usd: {usd:.9f}, forecast_requests: {requests}, forecast_hourly: {shape}}}
    period: {period_s:.1f}s
    anchor: {anchor}
"""


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what counts as its answer."""

    ask: str
    accept: tuple[str, ...]

    def is_right(self, answer: str) -> bool:
        """Whether the first line of an answer holds an accepted one as whole words."""
        said = _plain(answer.strip().split("\n", 1)[0])
        return any(f" {_plain(wanted).strip()} " in said for wanted in self.accept)


@dataclass(frozen=True, slots=True)
class Answered:
    """One request and what came of it."""

    question: Question
    model: str
    text: str
    ttft_s: float
    total_s: float
    prompt_tokens: int
    completion_tokens: int
    win_rate: float | None
    """As the gateway predicted it; None: it had no choice."""
    why: str
    """The gateway's reason for its choice."""

    @property
    def is_right(self) -> bool:
        """Whether the answer is right."""
        return self.question.is_right(self.text)

    @property
    def usd(self) -> float:
        """Dollars at list prices; what was cached is not discounted."""
        return TARIFFS[self.model].usd(self.prompt_tokens, self.completion_tokens)


@dataclass(frozen=True, slots=True)
class Row:
    """One way through the questions, for the table."""

    label: str
    answers: tuple[Answered, ...]

    @property
    def right(self) -> int:
        """Right answers."""
        return sum(a.is_right for a in self.answers)

    @property
    def strong_share(self) -> float:
        """Share that the strong model answered."""
        return sum(a.model == "strong" for a in self.answers) / len(self.answers)

    @property
    def usd(self) -> float:
        """Dollars of all answers."""
        return sum(a.usd for a in self.answers)


def questions() -> list[Question]:
    """Return all questions, in the file's order."""
    return [Question(q["ask"], tuple(q["accept"])) for q in yaml.safe_load(QUESTIONS.read_text("utf-8"))]


def table(rows: Sequence[Row]) -> str:
    """Lay out what came of every way."""
    lines = [f"{'':36} {'right':>9} {'strong':>7} {'tokens in':>10} {'out':>6} {'dollars':>10} {'TTFT p50':>9}"]
    for row in rows:
        ins, outs = sum(a.prompt_tokens for a in row.answers), sum(a.completion_tokens for a in row.answers)
        ttft_ms = 1000 * statistics.median(a.ttft_s for a in row.answers)
        right = f"{row.right}/{len(row.answers)}"
        lines.append(f"{row.label:36} {right:>9} {row.strong_share:>7.0%} {ins:>10} {outs:>6} {row.usd:>10.6f} {ttft_ms:>6.0f} ms")
    return "\n".join(lines)


def verdict(weak: Row, strong: Row, routed: Row) -> str:
    """Say whether the router chose better than a coin with the same share, and what a perfect choice would give."""
    share = routed.strong_share
    coin = share * strong.right + (1 - share) * weak.right
    either = sum(w.is_right or s.is_right for w, s in zip(weak.answers, strong.answers, strict=True))
    pairs = list(zip(weak.answers, strong.answers, strict=True))
    helped = [w.win_rate for w, s in pairs if s.is_right and not w.is_right and w.win_rate is not None]
    hurt = [w.win_rate for w, s in pairs if w.is_right and not s.is_right and w.win_rate is not None]
    lines = [
        f"at the same strong share of {share:.0%} a coin would have had {coin:.1f} right on average, the router had {routed.right}; "
        f"whoever knew both answers beforehand: {either}"
    ]
    if helped and hurt:
        lines.append(
            f"predicted win rate where only the strong model is right ({len(helped)}): {statistics.mean(helped):.3f}; "
            f"where only the weak one is ({len(hurt)}): {statistics.mean(hurt):.3f}"
        )
    helps = routed.right > coin + 1
    lines.append(
        "the router's predictions help on these questions"
        if helps
        else "the router's predictions do not help on these questions: it was trained on other models and on exam questions"
    )
    return "\n".join(lines)


def budget_of(weak: Row, strong: Row, requests: int) -> float:
    """Return the dollars with which about half of so many requests can go to the strong model."""
    per_weak, per_strong = weak.usd / len(weak.answers), strong.usd / len(strong.answers)
    return requests * (HALF_STRONG * per_strong + (1 - HALF_STRONG) * per_weak)


class Stage:
    """Both models and the gateway in front of them."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession, urls: dict[str, str], data: str, admin: str) -> None:
        self._folder, self._session, self._urls, self._data, self.admin = folder, session, urls, data, admin
        self.config = folder / "gateway.yaml"

    def write_config(self, budget: str = "") -> None:
        """Write the gateway's configuration; a running gateway takes it up."""
        tariffs = {
            f"{name}_tariff": f"{{input_usd_per_mtok: {t.input_usd_per_mtok}, output_usd_per_mtok: {t.output_usd_per_mtok}}}"
            for name, t in TARIFFS.items()
        }
        context = CONTEXT_TOKENS // SLOTS
        fresh = self.config.with_suffix(".new")
        fresh.write_text(
            CONFIG.format(data=self._data, admin=self.admin, folder=self._folder, context=context, budget=budget, **tariffs, **self._urls)
        )
        fresh.replace(self.config)

    async def edit(self, budget: str) -> None:
        """Put a budget in force and wait until it is."""
        before = (await self._config_state())["generation"]
        self.write_config(budget)
        async with asyncio.timeout(10):
            while (now := await self._config_state())["generation"] == before:
                if now["errors"]:
                    raise ChildRefused("gateway", "\n".join(now["errors"]), None)
                await asyncio.sleep(0.05)

    async def ask(self, model: str, question: Question) -> Answered:
        """Ask one question and time its first token. Raises: ChildRefused when it is not answered."""
        body = {
            "model": model, "stream": True, "stream_options": {"include_usage": True}, "temperature": 0,
            "max_tokens": ANSWER_TOKENS_MAX, "stop": ["\n"], "messages": [{"role": "user", "content": question.ask}],
        }  # fmt: skip
        began_s, first_s, said, usage = time.monotonic(), None, [], {"prompt_tokens": 0, "completion_tokens": 0}
        async with self._session.post(f"http://{self._data}/v1/chat/completions", json=body) as response:
            if response.status != 200:
                raise ChildRefused("gateway", f"{question.ask!r} was answered with {response.status}: {await response.text()}", None)
            async for chunk in _chunks(response.content):
                usage = chunk.get("usage") or usage
                for choice in chunk.get("choices", ()):
                    if piece := choice.get("delta", {}).get("content"):
                        first_s = first_s or time.monotonic()
                        said.append(piece)
            headers = response.headers
        ended_s = time.monotonic()
        win_rate = (await self._decision(headers["x-request-id"]))["win_rate"]  # the header has too few digits to order by
        return Answered(
            question, headers["x-sluice-model"], "".join(said), (first_s or ended_s) - began_s, ended_s - began_s,
            usage["prompt_tokens"], usage["completion_tokens"], win_rate, headers["x-sluice-reason"],
        )  # fmt: skip

    async def all(self, label: str, model: str, asked: Sequence[Question], pace_s: float = 0.0) -> Row:
        """Ask questions one after the other, at least `pace_s` apart."""
        answers, next_s = [], time.monotonic()
        for number, question in enumerate(asked, 1):
            _progress(f"{label}: {number}/{len(asked)}")
            answers.append(await self.ask(model, question))
            next_s += pace_s
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        _progress("")
        return Row(label, tuple(answers))

    async def spend(self) -> dict[str, Any]:
        """Return what the gateway's own books say of the budget."""
        async with self._session.get(f"http://{self.admin}/admin/state") as response:
            budgets = (await response.json())["board"]["budgets"]
        found: dict[str, Any] = next(b for b in budgets if b["slo"] == "spend")
        return found

    async def _decision(self, request_id: str) -> dict[str, Any]:
        """Return the decision record of a request that has just ended."""
        async with self._session.get(f"http://{self.admin}/admin/decisions?n=5") as response:
            decisions = (await response.json())["decisions"]
        found: dict[str, Any] = next(d for d in decisions if d.get("request_id") == request_id)
        return found

    async def _config_state(self) -> dict[str, Any]:
        async with self._session.get(f"http://{self.admin}/admin/state") as response:
            state: dict[str, Any] = (await response.json())["worker"]["config"]
            return state


@asynccontextmanager
async def standing(environment: Path) -> AsyncIterator[Stage]:
    """Start both models and the gateway; stop them at the end, in order. Raises: ChildRefused."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-real-")))
        urls = {}
        for which in ("weak", "strong"):
            words = ("load.llama", which, "--environment", str(environment), "--guard")
            child = await Child.start(f"{which} model", words, folder / f"{which}.log")
            stack.push_async_callback(child.stop)
            said = await child.ready("listening on ", READY_WAIT_S)
            urls[which] = said.split()[0]
            print(f"{which}: {LICENCES[which]}")
        data, admin = free_addresses(2)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)))
        stage = Stage(folder, session, urls, data, admin)
        stage.write_config()
        gateway = await Child.start("gateway", ("gateway", "serve", "--config", str(stage.config), "--guard"), folder / "gateway.log")
        stack.push_async_callback(gateway.stop)
        await gateway.ready("ready ")
        yield stage


async def demo(environment: Path) -> None:
    """Run it all and print what came of it. Raises: ChildRefused."""
    asked = questions()
    async with standing(environment) as stage:
        for model in ("weak", "strong"):
            await stage.ask(model, asked[0])  # The first request of a server pays for its warm-up.
        weak = await stage.all("always weak (router-auto-1.0)", "router-auto-1.0", asked)
        strong = await stage.all("always strong (router-auto-0.0)", "router-auto-0.0", asked)
        median = statistics.median(a.win_rate for a in weak.answers if a.win_rate is not None)
        routed = await stage.all(f"by the router (router-auto-{median:.6f})", f"router-auto-{median:.10f}", asked)
        requests = ROUNDS * len(asked)
        pace_s = max(PACE_S_MIN, PACE_SLACK * statistics.mean(a.total_s for row in (weak, strong) for a in row.answers))
        usd = budget_of(weak, strong, requests)
        starts_s = math.ceil(time.time() / SLOT_S) * SLOT_S  # The books are kept in slots; what went before shall not share one.
        anchor = datetime.fromtimestamp(starts_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        shape = [requests / TAIL] * TAIL + [0]
        period_s = requests * pace_s * (TAIL + 1) / TAIL
        await asyncio.sleep(starts_s - time.time())
        await stage.edit(BUDGET.format(usd=usd, requests=requests, shape=shape, period_s=period_s, anchor=anchor))
        budgeted = await stage.all(f"route auto, ${usd:.6f} to spend", "auto", asked * ROUNDS, pace_s)
        await asyncio.sleep(2.0)
        booked = await stage.spend()
    print(f"\n{table([weak, strong, routed, budgeted])}\n")
    books = f"${booked['spent_usd']:.6f} for {booked['samples']:.0f} requests"
    print(f"budget: {budgeted.usd / usd:.1%} spent; the gateway's own books say {books}")
    print(verdict(weak, strong, routed))
    print("two tiny models and thirty questions: a look at the machine at work, not a measurement of routing")


async def _chunks(content: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON of every event of a stream."""
    async for line in content:
        if line.startswith(b"data: {"):
            chunk = msgspec.json.decode(line[6:])
            if "error" in chunk:
                raise ChildRefused("gateway", f"a stream broke off: {chunk['error']}", None)
            yield chunk


def _plain(text: str) -> str:
    """Return lower-case words between single spaces, one before and one behind."""
    return f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration; 2 when its environment is not there."""
    parser = argparse.ArgumentParser(prog="python -m load.real", description="Two real small language models behind the gateway.")
    parser.add_argument("--environment", type=Path, default=Path(".venv-real"), metavar="DIR", help="where `make demo-real` installed them")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(demo(options.environment))
    except ChildRefused as refused:
        print(refused, file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
