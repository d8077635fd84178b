"""`sluice explain`: ten thousand logged decisions come out equal when they are made again."""

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gateway.commands import explain
from gateway.core.assemble import Prediction, assemble
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Ttft
from gateway.core.budget.slo import SloSpec
from gateway.core.dispatcher import Dispatcher
from gateway.core.pricing.laws.static import StaticLaw
from gateway.core.pricing.options import PricingOptions
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.record import as_json, as_line
from gateway.core.state import State
from gateway.domain.catalog import Backend, Catalog, Model, Route, Router, Tariff, TrafficClass
from gateway.domain.decision import Shed
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.domain.prices import Overrides, Pin, Price, Prices
from gateway.edges.telemetry.decisions import FileDecisionLog
from gateway.edges.telemetry.options import DecisionLogOptions

Run = Callable[[ModuleType], Callable[..., int]]
SEED = 20
REQUESTS = 12_000
"""Some are refused before a model is chosen; ten thousand and more are decided."""
DAY_S = 86_400.0


def model(name: str, usd: float, context: int) -> Model:
    backends = tuple(Backend(f"{name}@{i}", f"http://{name}-{i}/v1", name) for i in range(2))
    return Model(name, Tariff(usd, 4 * usd), context, backends)


MODELS = {m.name: m for m in (model("strong", 2.5, 128_000), model("middle", 0.6, 64_000), model("weak", 0.15, 4_000))}
CLASSES = {c.name: c for c in (TrafficClass("critical", 10, 2, 0), TrafficClass("standard", 3, 30, 1), TrafficClass("batch", 1, 600, 2))}
ROUTES = {"auto": Route("auto", ("strong", "weak"), Router("x", 0.35)), "three": Route("three", tuple(MODELS), Router("x", 0.35))}
CATALOG = Catalog(MODELS, ROUTES, CLASSES, {})
SLOS = (
    SloSpec("availability", "availability", Availability.Options(), objective=0.999, window_s=28 * DAY_S),
    SloSpec("first-token", "ttft", Ttft.Options(at_most=1.0), objective=0.95, window_s=28 * DAY_S),
    SloSpec("answers", "quality", Quality.Options(), objective=0.9, window_s=28 * DAY_S, route="three"),
    SloSpec("spend", "cost", Cost.Options(usd=5.0), window_s=DAY_S),
)
GAINS = {"auto": Gain(((0.0, -0.2), (0.3, 0.0), (0.7, 0.21), (1.0, 0.9))), "three": Gain(((0.0, -0.1), (0.5, 0.1), (1.0, 0.7)))}


def prices_of(draw: random.Random, version: int) -> Prices:
    prices = tuple(
        Price(s.name, s.kind, draw.choice([0.0, 3 * draw.random()]), 10 ** -draw.uniform(2, 5), s.route) for s in SLOS
    )  # fmt: skip
    fixed = draw.random() if draw.random() < 0.1 else None
    return Prices(
        version,
        1,
        "hash",
        1000.0 + version,
        "shadow_price",
        prices,
        draw.uniform(1, 5),
        fixed,
        {"weak": draw.uniform(0.8, 1.3)},
        {},
        "green",
        (),
        (),
        draw.uniform(0, 20),
    )


class Traffic:
    """Random requests through a real dispatcher: outages, pins, thresholds of clients, long prompts, changing prices."""

    def __init__(self, log: FileDecisionLog) -> None:
        self.draw, self.log, self.state = random.Random(SEED), log, State()
        sample = assemble_sample(self.draw)
        core = assemble(
            CATALOG, SLOS, PricingOptions("static", StaticLaw.Options(threshold=0.5), (), 5.0), sample, self.state, "enforce", "hash", 1.0
        )
        self.dispatcher: Dispatcher = core.dispatcher
        self.version = 0

    def change(self) -> None:
        """Publish other prices, now and then a pin."""
        self.version += 1
        prices = prices_of(self.draw, self.version)
        pins = {"auto": Pin("auto", self.draw.random(), 1e12, "kim")} if self.draw.random() < 0.1 else {}
        self.dispatcher.adopt(prices, Overrides(pins), 0.0)
        self.log.write(("prices", 1000.0 + self.version, prices, GAINS, "hash"))

    def run(self, n: int) -> None:
        """Decide n requests; each ends up to a few hundred requests after it was decided, as answers take time."""
        open_: list[Any] = []
        for i in range(n):
            if i % 50 == 0:
                self.change()
            open_.append((i, self.decided(i)))
            while len(open_) > 300 * self.draw.random():
                self.end(*open_.pop(self.draw.randrange(len(open_))))
        for one in open_:
            self.end(*one)
        self.log.close()

    def decided(self, i: int) -> Any:
        draw, now_s = self.draw, i * 0.1
        route = draw.choice([*ROUTES, "strong"])
        candidates = tuple(MODELS[m] for m in (ROUTES[route].models if route in ROUTES else (route,)))
        facts = RequestFacts(
            f"req_{i}", Endpoint.CHAT, "acme", draw.choice(list(CLASSES.values())), route, candidates, int(10 ** draw.uniform(1, 3.9)),
            None, True, now_s, (draw.random(), draw.random()), draw.choice([None, None, draw.random()]), draw.random() < 0.5,
        )  # fmt: skip
        qualities = tuple(draw.random() for _ in candidates) if draw.random() < 0.95 else None
        ticket = self.dispatcher.decide(facts, qualities, now_s, 1000.0)
        if isinstance(ticket, Shed):
            return facts, ticket
        if ticket.placed is not None:
            self.dispatcher.sent(ticket, now_s)
        return facts, ticket

    def end(self, i: int, decided: Any) -> None:
        (facts, ticket), now_s = decided, i * 0.1 + 5
        if isinstance(ticket, Shed):
            self.log.write(self.dispatcher.refused(facts, ticket, now_s, 1000.0 + i).record)
            return
        is_outage = 3000 < i % 5000 < 4000 and ticket.placed is not None and ticket.placed.model.name == "strong"
        reason = Reason.UPSTREAM_UNREACHABLE if is_outage else Reason.SERVED
        name = ticket.placed.model.name if ticket.placed is not None else None
        outcome = Outcome(reason, name, 0.3, 2.0, facts.prompt_tokens, 100, was_streamed=True)
        self.log.write(self.dispatcher.ended(ticket, outcome, now_s, 1000.0 + i).record)


def assemble_sample(draw: random.Random) -> dict[str, Prediction]:

    rng = np.random.default_rng(draw.randrange(1000))
    return {name: Prediction(GAINS[name], rng.random((50, len(route.models)))) for name, route in ROUTES.items()}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A log of over 10,000 decisions in several rotated files, oldest first."""
    path = tmp_path_factory.mktemp("log") / "decisions.jsonl"
    log = FileDecisionLog(DecisionLogOptions(path=str(path), rotate_at=1024 * 1024, keep=50, buffer_max=100_000), as_line, as_json)
    Traffic(log).run(REQUESTS)
    return sorted(path.parent.iterdir(), key=lambda p: int(p.suffix[1:]) if p.suffix[1:].isdigit() else 0, reverse=True)


def lines(files: list[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        for line in file.read_text().splitlines():
            yield json.loads(line)


def test_more_than_ten_thousand_decisions_come_out_equal(verb: Run, logs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(explain)("--from-log", *logs) == 0
    out = capsys.readouterr().out
    equal, different = map(int, re.findall(r"(\d+) (?:equal|different)", out.splitlines()[0]))
    refused = int((re.findall(r"(\d+) refused before", out) or ["0"])[0])
    assert (equal + refused, different) == (REQUESTS, 0), f"seed {SEED}"
    assert equal >= 10_000


def test_the_log_of_that_test_holds_every_kind_of_decision(logs: list[Path]) -> None:
    decided = [line for line in lines(logs) if line["kind"] == "decision"]
    why = {line["why"] for line in decided}
    assert why >= {"score", "soft_edge", "threshold", "client_threshold", "probe", "pin", "only", "down"}, f"seed {SEED}"
    assert {len(line["expectations"]) for line in decided} >= {1, 2, 3}
    assert len({line["prices_version"] for line in decided}) > 100
    assert len(logs) > 3


def test_each_rotated_file_can_be_made_again_by_itself(verb: Run, logs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for file in logs:
        assert verb(explain)("--from-log", file) == 0, file
        assert "without their prices" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.update(choice="weak" if line["choice"] == "strong" else "strong"),
        lambda line: line.update(margin=line["margin"] + 1e-12),
        lambda line: line["expectations"][0].__setitem__(1, line["expectations"][0][1] * (1 + 1e-12)),
        lambda line: line.update(why="pin"),
    ],
)
def test_the_smallest_difference_is_found(
    verb: Run, logs: list[Path], tmp_path: Path, change: Callable[[dict[str, Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(lines(logs[:1]))[:200]
    target = next(line for line in found if line["kind"] == "decision" and line["why"] == "score" and len(line["expectations"]) == 2)
    change(target)
    path = tmp_path / "changed.jsonl"
    path.write_text("\n".join(map(json.dumps, found)))
    assert verb(explain)("--from-log", path) == 1
    out = capsys.readouterr().out
    assert " 1 different" in out
    assert f"different: {target['request_id']}" in out


def test_decisions_before_and_after_a_configuration_change_under_one_version_are_both_equal(
    verb: Run, logs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(lines(logs[:1]))
    first = next(i for i, line in enumerate(found) if line["kind"] == "prices")
    version = found[first]["prices"]["version"]
    other = json.loads(json.dumps(found[first]))
    other["gains"] = {route: [[0.0, -1.0], [1.0, 1.0]] for route in other["gains"]}
    mine = [line for line in found if line.get("prices_version") == version]
    for order in ([other, found[first]], [found[first], other]):
        (tmp_path / "two.jsonl").write_text("\n".join(map(json.dumps, [*order, *mine])))
        assert verb(explain)("--from-log", tmp_path / "two.jsonl") == 0
        assert " 0 different" in capsys.readouterr().out


def test_lines_without_prices_and_torn_lines_are_no_success(
    verb: Run, logs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in list(lines(logs[:1]))[:100] if line["kind"] == "decision"))
    assert verb(explain)("--from-log", path) == 1
    assert "without their prices in the log" in capsys.readouterr().out
    path.write_text('{"kind":"decis\n[1]\n')
    assert verb(explain)("--from-log", path) == 1
    assert "2 lines not readable" in capsys.readouterr().out


def test_one_decision_is_told_with_scores_that_add_up(verb: Run, logs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    line = next(x for x in lines(logs) if x["kind"] == "decision" and x["why"] == "score" and x["route"] == "three")
    assert verb(explain)("--from-log", *logs, "--request", line["request_id"]) == 0
    out = capsys.readouterr().out
    assert "made again: equal" in out
    assert f"{line['choice']}: best score" in out
    assert f"threshold {line['threshold']:.4f}" in out
    told = re.findall(r"(\w+): score ([+-][\d.]+) = ([\d.]+) x quality ([\d.]+) x success ([\d.]+)((?: - \w+ -?[\d.]+)*)", out)
    assert [t[0] for t in told] == [e[0] for e in line["expectations"]]
    for _, score, worth, quality, success, priced in told:
        total = float(worth) * float(quality) * float(success) - sum(map(float, re.findall(r"\w (-?[\d.]+)", priced)))
        assert total == pytest.approx(float(score), abs=0.02)


def test_a_request_that_is_not_in_the_log_is_said(verb: Run, logs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(explain)("--from-log", logs[0], "--request", "req_none") == 1
    assert "req_none" in capsys.readouterr().err


def test_a_prompt_is_tried_on_a_fresh_gateway(verb: Run, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(explain)("--config", config, "--", "What is the capital of France?") == 0
    out = capsys.readouterr().out
    assert "route auto, class standard" in out
    assert "law shadow_price" in out
    assert re.search(r"^-> (strong|weak): score", out, re.MULTILINE)


def test_what_is_missing_is_one_line_and_status_2(verb: Run, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(explain)("--from-log", tmp_path / "none.jsonl") == 2
    assert verb(explain)() == 2
    assert verb(explain)("--config", tmp_path / "none.yaml", "--", "x") == 2
    assert verb(explain)("--config", config, "--route", "autoo", "--", "x") == 2
    assert verb(explain)("--config", config, "--admin", "http://127.0.0.1:1", "--", "x") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 5
    assert "Traceback" not in err
