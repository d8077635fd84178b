"""Micro-benchmarks of the core: `python tests/bench/bench_core.py` prints microseconds per call.

Each line is CPU time, the best of many short runs, so that a busy machine disturbs it little; compare lines with each other, not with those
of another machine. Recorded on 2 shared cores, CPython 3.11 built without profile-guided optimization: decide 7.7, a whole request 16.5,
choose 1.9, score 0.3, entries of eight SLOs 1.3, of eight of every kind 2.3, a sum over 28 days 60, a budget tick 76, with its board 1100.
"""

import timeit
from collections.abc import Callable
from itertools import count
from time import process_time

import numpy as np
from msgspec import structs

from gateway.core.budget.book import Book
from gateway.core.budget.counts import Counts
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.coherence import Coherence
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.itl import Itl
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Bin, Ttft
from gateway.core.budget.slo import DAY_S, Period, SloSpec, build
from gateway.core.dispatcher import Dispatcher
from gateway.core.governor import Governor
from gateway.core.pricing.card import Card
from gateway.core.pricing.laws.shadow_price import ShadowPriceLaw
from gateway.core.pricing.terms import terms_of
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.route import Question, choose
from gateway.core.routing.score import score
from gateway.core.state import State
from gateway.core.ticket import Ticket
from gateway.domain.catalog import Backend, Catalog, Model, Route, Router, Tariff, Tenant, TrafficClass
from gateway.domain.errors import Reason
from gateway.domain.event import Form, Outcome, Timeline
from gateway.domain.expectation import Expectation
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.domain.prices import Overrides, Price, Prices

STRONG = Model("strong", Tariff(2.5, 10.0), 128_000, tuple(Backend(f"strong@{i}", f"http://s{i}/v1", "big") for i in range(2)))
WEAK = Model("weak", Tariff(0.15, 0.6), 32_000, tuple(Backend(f"weak@{i}", f"http://w{i}/v1", "small") for i in range(2)))
STANDARD = TrafficClass("standard", 3.0, 30.0, 1)
CATALOG = Catalog(
    {"strong": STRONG, "weak": WEAK},
    {"auto": Route("auto", ("strong", "weak"), Router("builtin", 0.35))},
    {"standard": STANDARD},
    {"acme": Tenant("acme", (), "standard")},
)
GAIN = Gain(tuple((i / 10, 0.05 * i - 0.1) for i in range(11)))
DAY = Period("day")
EIGHT = build(
    [
        SloSpec("availability", "availability", Availability.Options(), 0.999, 28 * DAY_S),
        SloSpec("availability-auto", "availability", Availability.Options(), 0.99, 28 * DAY_S, route="auto"),
        SloSpec("first-token", "ttft", Ttft.Options(1.0), 0.95, 28 * DAY_S),
        SloSpec("first-token-auto", "ttft", Ttft.Options(2.0), 0.99, 28 * DAY_S, route="auto"),
        SloSpec("quality", "quality", Quality.Options(), 0.8, 28 * DAY_S),
        SloSpec("quality-auto", "quality", Quality.Options(), 0.8, 28 * DAY_S, route="auto"),
        SloSpec("spend", "cost", Cost.Options(100.0, 86_400.0), period=DAY),
        SloSpec("spend-auto", "cost", Cost.Options(80.0), period=Period("month"), route="auto"),
    ]
)
EVERY_KIND = build(
    [
        SloSpec("availability", "availability", Availability.Options(), 0.999, 28 * DAY_S),
        SloSpec("first-token", "ttft", Ttft.Options(8.0, (Bin(2000, 1.0), Bin(8000, 2.5))), 0.95, 28 * DAY_S),
        SloSpec("pace", "itl", Itl.Options(1.0, 10.0, 2.0), 0.95, 28 * DAY_S),
        SloSpec("pace-auto", "itl", Itl.Options(1.0, 20.0, 2.0), 0.95, 28 * DAY_S, route="auto"),
        SloSpec("quality", "quality", Quality.Options(), 0.8, 28 * DAY_S),
        SloSpec("validity", "quality", Quality.Options("validity"), 0.99, 28 * DAY_S),
        SloSpec("coherence", "coherence", Coherence.Options(), 0.99, 28 * DAY_S),
        SloSpec("spend", "cost", Cost.Options(100.0, 86_400.0), period=DAY),
    ]
)
PRICES = Prices(
    3, 1, "hash", 0.0, "shadow_price",
    (Price("availability", "availability", 0.3, 0.001), Price("first-token", "ttft", 0.1, 0.05), Price("spend", "cost", 0.6, 0.002)),
    3.0, factors={"strong": 1.1}, request_rate=50.0,
)  # fmt: skip
SERVED = Outcome(Reason.SERVED, "strong", 0.4, 2.0, 400, 200, was_streamed=True)
KEPT = (Timeline(1.0, 10.0, 1.0), Timeline(1.0, 20.0, 0.97))


def report(name: str, call: Callable[[], object], number: int = 2000) -> None:
    """Print the best time of one call, in runs of `number` calls."""
    best_s = min(timeit.repeat(call, number=max(number // 20, 5), repeat=200, timer=process_time)) / max(number // 20, 5)
    print(f"{name:58s} {best_s * 1e6:8.2f} us")


def facts() -> RequestFacts:
    """Return an ordinary request with two candidates."""
    return RequestFacts(
        "req_1", Endpoint.CHAT, "acme", STANDARD, "auto", (STRONG, WEAK), 400, None, True, 0.0, (0.4, 0.9), prompt_bytes=1600
    )


def governor(rows: int) -> Governor:
    """Return a governor of eight SLOs on a card of so many rows."""
    rng = np.random.Generator(np.random.PCG64(1))
    weak = rng.uniform(0.3, 0.8, rows)
    quality = np.stack([weak + rng.uniform(0, 0.4, rows), weak], axis=1)
    card = Card(("strong", "weak"), rng.choice([10.0, 3.0, 1.0], rows), quality, np.tile([0.005, 0.0005], (rows, 1)))
    law = ShadowPriceLaw(ShadowPriceLaw.Options())
    return Governor(EIGHT, law, [s.spec.name for s in EIGHT], ("strong", "weak"), {"auto": GAIN}, lambda: {"auto": card}, "hash", 4.5)


def main() -> None:
    """Print all figures."""
    request = facts()
    core = Dispatcher(CATALOG, EIGHT, {"auto": GAIN}, State())
    core.adopt(PRICES, Overrides(), 0.0)
    report("decide, two models with two backends each, priced", lambda: core.decide(request, (0.8, 0.6), 1.0))

    def whole() -> None:
        ticket = core.decide(request, (0.8, 0.6), 1.0)
        assert isinstance(ticket, Ticket)
        core.sent(ticket, 1.0)
        core.first_token(ticket, 1.4)
        core.ended(ticket, SERVED, 3.0)

    report("decide, sent, first_token, ended", whole)

    terms = terms_of(PRICES, "auto")
    strong, weak = Expectation("strong", 0.8, 0.999, 0.01, 0.003, 200), Expectation("weak", 0.6, 0.999, 0.01, 0.0002, 200)
    question = Question((strong, weak), (True, True), (False, False), 3.0, (0.4, 0.9), None, False, None)
    report("choose, two models, three prices", lambda: choose(question, terms, GAIN))
    report("score, three prices", lambda: score(strong, 1.0, terms.per_unit))

    book = Book(EIGHT)
    report("entries of one outcome, eight SLOs", lambda: book.settled("auto", STANDARD, SERVED, 0.003, 0.003))

    every, watched = Book(EVERY_KIND), structs.replace(SERVED, timelines=KEPT, form=Form.WHOLE, switch=0)
    report("entries of one outcome, eight SLOs of every kind", lambda: every.settled("auto", STANDARD, watched, 0.003, 0.003, 0.8))

    counts, clock = Counts(), count()
    entries = book.settled("auto", STANDARD, SERVED, 0.003, 0.003)
    for second in range(0, 28 * 86_400, 3600):
        counts.add(entries, float(second))
    for second in range(28 * 86_400 - 7200, 28 * 86_400, 10):
        counts.add(entries, float(second))
    now_s = 28 * 86_400.0
    report("sum of one field over 28 days", lambda: counts.total("n", 1234.0, now_s))
    report("sum of one field over 5 minutes", lambda: counts.total("n", now_s - 300, now_s))

    judge = governor(2000)
    fresh = {name: 50 * amount for name, amount in entries}
    well = {"strong": (0.999, 0.001), "weak": (0.999, 0.001)}
    report("one budget tick, board left out", lambda: judge.tick(counts, fresh, now_s + 5.0 * next(clock), well, is_quick=True), number=50)
    report("one budget tick, with board", lambda: judge.tick(counts, fresh, now_s + 5.0 * next(clock), well), number=10)


if __name__ == "__main__":
    main()
