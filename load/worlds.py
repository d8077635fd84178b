"""Replay a pinned world (a table with both futures of every request) through the real Dispatcher and Governor.

What a law may see is decided in one function, `replay`: at arrival the columns of `AT_ARRIVAL`; of the chosen option only
what settled, at its settling time for health and breaker, and `telemetry_delay_s` later (or at the end of a telemetry
gap) for budgets; verdicts only where there are any. True success probabilities, price factors and the option that was
not chosen are never read. Writes the decision and tick logs that a scorer reads.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.core.assemble import Core, Prediction, assemble
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Ttft
from gateway.core.budget.slo import Period, SloSpec
from gateway.core.pricing.card import Card
from gateway.core.pricing.laws.registry import LAWS
from gateway.core.pricing.options import PricingOptions
from gateway.core.pricing.threshold import Gain
from gateway.core.state import State
from gateway.core.ticket import Ticket
from gateway.domain.catalog import Backend, Catalog, Model, Route, Router, Tariff, Tenant, TrafficClass
from gateway.domain.errors import SERVED, Reason
from gateway.domain.event import Entry, Outcome
from gateway.domain.facts import CHAT, RequestFacts
from gateway.domain.prices import Overrides

MODELS = ("strong", "weak")
AT_ARRIVAL = ("t_s", "klass", "q_strong", "q_weak", "usd_strong_expected", "usd_weak_expected")
OF_CHOSEN = ("ok_{}", "usd_{}", "ttft_{}_s", "y_{}", "settle_s", "has_verdict")
SETTLE_S = OF_CHOSEN.index("settle_s")
FAILED = Reason.UPSTREAM_ERROR
ROWS_AT_ONCE = 512
ROUTE = "world"


@dataclass(frozen=True)
class World:
    """Columns and facts of one world."""

    columns: dict[str, NDArray[Any]]
    facts: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> "World":
        """Read `world.parquet` and `world.json`."""
        import pyarrow.parquet as pq

        table = pq.read_table(folder / "world.parquet")
        return cls({n: table[n].to_numpy() for n in table.column_names}, json.loads((folder / "world.json").read_text()))


@dataclass(frozen=True)
class Run:
    """What a replay leaves: a choice per row, and a line per tick."""

    choices: list[str]
    draws: list[float]
    ticks: list[dict[str, Any]]
    core: Core


def core_of(facts: dict[str, Any], law: str) -> Core:
    """Build the real core on what a world's operator believed."""
    classes = {
        name: TrafficClass(name, value, 600.0, rank)
        for rank, (name, value) in enumerate(sorted(facts["classes"].items(), key=lambda kv: -kv[1]))
    }
    models = {
        name: Model(name, Tariff(0.0, 0.0), 10**9, (Backend(f"{name}@world", "http://world/v1", name),)) for name in MODELS
    }  # Dollars come with each row, so the tariffs are never read.
    catalog = Catalog(
        models, {ROUTE: Route(ROUTE, MODELS, Router("world", 0.35))}, classes, {"world": Tenant("world", (), "standard")}, "world"
    )
    period = Period("fixed", facts["period_s"], 0.0)
    slos, budget = facts["slos"], facts["budget_usd"]
    cost = Cost.Options(budget, facts["forecast_requests"], tuple(facts["forecast_hourly"]))
    specs = [
        SloSpec("availability", "availability", Availability.Options(), slos["availability"]["objective"], period=period),
        SloSpec("ttft", "ttft", Ttft.Options(slos["ttft"]["at_most_s"]), slos["ttft"]["objective"], period=period),
        SloSpec("cost", "cost", cost, period=period),
        SloSpec("quality", "quality", Quality.Options(), slos["quality"]["objective"], period=period),
    ]
    card = facts["card"]
    columns = {k: np.array(v, dtype=np.float64) for k, v in card.items()}
    values = np.array(list(facts["classes"].values()))[columns["klass"].astype(int)]
    quality = np.stack([columns["q_strong"], columns["q_weak"]], axis=1)
    usd = np.stack([columns["usd_strong_expected"], columns["usd_weak_expected"]], axis=1)
    cards = {ROUTE: Card(MODELS, values, quality, usd)}
    gain = Gain(((0.0, 0.0), (1.0, facts["gain_slope"])))
    kind: Any = LAWS[law]
    options = kind.Options(_calibrated(quality, usd, facts)) if law in ("static", "step") else kind.Options()
    pricing = PricingOptions(law, options, tuple(facts["priority"]), facts["tick_s"])
    prediction = {ROUTE: Prediction(gain, quality)}
    return assemble(catalog, specs, pricing, prediction, State(), "enforce", "world", facts["telemetry_delay_s"], cards=lambda: cards)


def _calibrated(quality: NDArray[np.float64], usd: NDArray[np.float64], facts: dict[str, Any]) -> float:
    """Return the threshold that meets the budget on the forecast: RouteLLM's calibration, from the card's quantile."""
    strong, weak = usd.mean(axis=0)
    share = float(np.clip((facts["budget_usd"] / facts["forecast_requests"] - weak) / (strong - weak), 0, 1))
    gains = quality[:, 0] - quality[:, 1]
    return float(np.clip(np.quantile(gains, 1 - share) / facts["gain_slope"], 0, 1))


def _rows(columns: Sequence[NDArray[Any]]) -> Iterator[tuple[Any, ...]]:
    """Return rows of Python values, made a few at a time: all at once they would be 100 MB, read from where no cache has them."""
    starts = range(0, len(columns[0]), ROWS_AT_ONCE)
    return chain.from_iterable(zip(*[c[i : i + ROWS_AT_ONCE].tolist() for c in columns], strict=True) for i in starts)


def replay(world: World, law: str) -> Run:
    """Feed a world to the core in time order; see the module's head for what is shown when."""
    facts = world.facts
    core = core_of(facts, law)
    dispatcher, governor, counts = core.dispatcher, core.governor, core.dispatcher.state.counts
    classes = [dispatcher.catalog.classes[n] for n in facts["classes"]]
    candidates = tuple(dispatcher.catalog.models[m] for m in MODELS)
    draws = np.random.Generator(np.random.PCG64([facts["seed"], 99])).random((facts["rows"], 2))
    shown = _rows([*(world.columns[n] for n in AT_ARRIVAL), draws[:, 0], draws[:, 1]])
    futures = [_rows([world.columns[n.format(m)] for n in OF_CHOSEN]) for m in MODELS]
    gaps = [(e["start_s"], e["end_s"]) for e in facts["events"] if e["kind"] == "telemetry_gap"]
    delay, tick_s = facts["telemetry_delay_s"], facts["tick_s"]
    settling: list[tuple[float, int, Ticket, str, tuple[Any, ...]]] = []
    """With the future of the chosen option."""
    telling: deque[tuple[float, list[Entry]]] = deque()
    """In order: what happens later is never told earlier."""
    choices, ticks = list[str](), list[dict[str, Any]]()
    healths = [(m, dispatcher.state.placement.health(m)) for m in MODELS]

    def tell(entries: list[Entry], at_s: float) -> None:
        told = at_s + delay
        for start, end in gaps:
            told = end if start <= told < end else told
        telling.append((told, entries))

    def settle_until(t_s: float) -> None:
        while settling and settling[0][0] <= t_s:
            at_s, _, ticket, model, (ok, usd, ttft_s, y, settle_s, has_verdict) = heappop(settling)
            reason = SERVED if ok else FAILED
            outcome = Outcome(reason, model, ttft_s if ok else None, settle_s, was_streamed=True, billed_usd=usd)
            entries = dispatcher.ended(ticket, outcome, at_s, at_s).entries
            if ok and has_verdict:
                entries += dispatcher.verdict(bool(y), ROUTE)
            tell(entries, at_s)

    def govern(now_s: float) -> None:
        if not any(a <= now_s < b for a, b in gaps):
            fresh: defaultdict[str, int] = defaultdict(int)
            while telling and telling[0][0] <= now_s:
                for name, amount in telling.popleft()[1]:
                    fresh[name] += amount
            counts.add(fresh.items(), now_s)
            seen = {m: (h.success, h.late) for m, h in healths}
            published = governor.tick(counts, fresh, now_s, seen, is_quick=True)
            dispatcher.adopt(published.prices, Overrides(), now_s)
        prices = dispatcher.state.prices
        assert prices is not None
        named = {p.slo: p.value for p in prices.prices}
        ticks.append({"t_s": now_s, "alpha_ref": prices.alpha_ref[ROUTE], "prices": named, "infeasible": list(prices.infeasible)})

    next_tick = 0.0
    for row, (known, if_strong, if_weak) in enumerate(zip(shown, *futures, strict=True)):
        t_s, klass, q_strong, q_weak, usd_strong, usd_weak, soft_edge, probe = known
        while next_tick <= t_s:
            settle_until(next_tick)
            govern(next_tick)
            next_tick += tick_s
        settle_until(t_s)
        request = RequestFacts(
            str(row), CHAT, "world", classes[klass], ROUTE, candidates, 1, None, True, t_s, (soft_edge, probe),
            expected_usd=(usd_strong, usd_weak),
        )  # fmt: skip
        ticket = dispatcher.decide(request, (q_strong, q_weak), t_s, t_s)
        if not isinstance(ticket, Ticket) or ticket.placed is None:
            choices.append("shed")
            continue
        model = ticket.placed.model.name
        choices.append(model)
        dispatcher.sent(ticket, t_s)
        tell(ticket.opening, t_s)
        chosen = if_strong if model == "strong" else if_weak
        heappush(settling, (t_s + chosen[SETTLE_S], row, ticket, model, chosen))
    while next_tick < facts["period_s"]:
        settle_until(next_tick)
        govern(next_tick)
        next_tick += tick_s
    return Run(choices, draws[:, 0].tolist(), ticks, core)


def write(run: Run, folder: Path) -> None:
    """Write `decisions.parquet` and `ticks.jsonl`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({"row": list(range(len(run.choices))), "choice": run.choices, "draw": run.draws})
    pq.write_table(table, folder / "decisions.parquet")
    (folder / "ticks.jsonl").write_text("\n".join(json.dumps(t) for t in run.ticks))
