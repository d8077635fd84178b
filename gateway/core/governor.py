"""One budget tick: judge what is left, price it, say so. The only writer of prices, fenced by the store.

Every replica builds a governor, one of them holds the lease and ticks. What it must hand on (the law's memory, the
request rate, the billed/expected factors) is published with the prices, so that the next writer goes on, not anew.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from gateway.core.budget.alerts import Alerts
from gateway.core.budget.counts import Counts
from gateway.core.budget.forecast import RATE_MEMORY_S
from gateway.core.budget.ledger import Account, Judgement, Ledger
from gateway.core.budget.opening import Opening
from gateway.core.budget.slo import Slo
from gateway.core.estimate.bills import Bills
from gateway.core.pricing.board import as_prices, board_of
from gateway.core.pricing.card import Card
from gateway.core.pricing.law import Law, Ruling, Tick
from gateway.core.pricing.mode import mode_of
from gateway.core.pricing.terms import terms_of
from gateway.core.pricing.threshold import Gain, alpha_ref
from gateway.domain.prices import Overrides, Price, Prices
from gateway.domain.value import Value


@dataclass(slots=True)
class Memory:
    """What a governor remembers besides its law."""

    rate: float | None = None
    age_s: float = 0.0
    """How long the rate has been averaged; a forecast counts as the full averaging time."""
    bills: dict[str, Bills] = field(default_factory=dict)
    """What models charge over what was expected."""
    last_wall_s: float | None = None
    version: int = 0


class Published(Value, frozen=True):
    """What one tick gives out."""

    prices: Prices
    memory: Mapping[str, Any]
    board: Mapping[str, Any]
    judgements: Sequence[Judgement]


class Governor:
    """Judges, prices and says."""

    def __init__(
        self,
        slos: Sequence[Slo],
        law: Law,
        priority: Sequence[str],
        models: Sequence[str],
        gains: Mapping[str, Gain],
        cards: Callable[[], Mapping[str, Card]],
        config_hash: str,
        telemetry_delay_s: float,
        classes: Mapping[str, float] | None = None,
    ) -> None:
        """Build a governor.

        Args:
            slos: all SLOs; those that `priority` does not name come last, in the given order.
            gains, cards: per route; cards are asked for anew at each tick, as recent traffic replaces the artifact's sample.
            telemetry_delay_s: age of counts when they are read here.
            classes: value of each class, whose thresholds are published.
        """
        rank = {name: i for i, name in enumerate(priority)}
        self._slos = sorted(slos, key=lambda s: rank.get(s.spec.name, len(rank)))
        self._law, self._gains, self._cards = law, gains, cards
        self._billed = [(m, f"m.{m}.n", f"m.{m}.usd", f"m.{m}.exp") for m in models]
        self._config_hash, self._delay_s, self._classes = config_hash, telemetry_delay_s, classes or {}
        self._ledger = Ledger(self._slos)
        self._alerts = Alerts()
        self._memory = Memory()
        self._is_first = True
        self._ruling: Ruling | None = None
        self._priced: tuple[Price, ...] = ()
        """Prices of the last step with their allowances; a freeze holds both, or what a dollar costs would still move."""

    def recall(self, memory: Mapping[str, Any] | None) -> None:
        """Take up what the last writer published; None starts from the cards. The accounts are then summed from the slots."""
        self._is_first = True
        if not memory:
            return
        known = memory["governor"]
        self._memory = Memory(**{name: known[name] for name in Memory.__dataclass_fields__ if name in known and name != "bills"})
        self._memory.bills = {name: Bills.of_json(told) for name, told in known.get("bills", {}).items()}
        if memory.get("law") == self._law.kind:
            self._law.recall(memory["law_memory"])
        ours = {slo.id for slo in self._slos}
        self._ledger.openings = {i: Opening.of_json(told) for i, told in memory.get("openings", {}).items() if i in ours}

    def hand_over(self, successor: "Governor") -> None:
        """Give everything to the governor of a new config version in the same process."""
        successor._alerts = self._alerts  # What is on stays on through a silence, by the SLOs' identities.
        if self._memory.rate is not None:
            successor.recall(self._remember())

    def tick(
        self,
        counts: Counts,
        fresh: Mapping[str, int],
        wall_s: float,
        health: Mapping[str, tuple[float, float]],
        overrides: Overrides | None = None,
        fencing_token: int = 0,
        is_quick: bool = False,
    ) -> Published:
        """Take in what was counted and return new prices.

        Args:
            counts: all slots.
            fresh: what they gained since the last tick, by field.
            health: success and lateness per model, as this process sees them.
            is_quick: only the prices are wanted; leave out what is shown or handed on (memory, board, thresholds by class).
        """
        m, cards = self._memory, self._cards()
        dt_s = max(wall_s - m.last_wall_s, 0.0) if m.last_wall_s is not None else 0.0  # A wall clock may be set back.
        is_first, self._is_first = self._is_first, False
        self._ledger.take(fresh, counts, wall_s, is_first=is_first)
        if is_first:
            fresh = {}
        settled = max(fresh.get("n", 0), 0)  # Below 0 when a store lost what it had told.
        self._learn(fresh, settled, 0.0 if is_first else dt_s)  # What came while nobody governed is no rate.
        m.last_wall_s = wall_s
        rate, factors = m.rate or 0.0, self._factors()
        cheapest_usd = _mean(cards, lambda c: c.cheapest_usd())
        judgements = self._ledger.judge(wall_s, rate, cheapest_usd, self._delay_s)
        tick = Tick(dt_s, wall_s, judgements, settled, rate, tuple(cards.values()), factors, health, self._delay_s)
        if self._ruling is None:
            self._law.start(tick)
        if self._ruling is None or overrides is None or wall_s >= overrides.frozen_until_wall_s:
            self._ruling = self._law.step(tick)
            self._priced = as_prices(self._ruling, judgements)
        m.version += 1
        prices = self._say(self._ruling, judgements, cards, factors, fencing_token, wall_s, is_quick)
        if is_quick:
            return Published(prices, {}, {}, judgements)
        return Published(prices, self._remember(), board_of(prices, judgements, counts, wall_s, self._alerts), judgements)

    @property
    def slos(self) -> Sequence[Slo]:
        """All SLOs, most important first."""
        return self._slos

    def cards(self) -> Mapping[str, Card]:
        """Return what each route with a choice is priced on."""
        return self._cards()

    def suppose(
        self,
        accounts: Mapping[str, Account],
        rate: float,
        wall_s: float,
        health: Mapping[str, tuple[float, float]],
        happens: Callable[[Sequence[Judgement], Sequence[Price]], Sequence[Judgement]],
        dt_s: float,
        steps: int,
    ) -> Published:
        """Return what would be published if the accounts stood like this and stayed so, once the law has had time to act.

        For a governor that governs nothing: it forgets what it knew. Judged, priced and said as at any tick; but what comes in while
        prices move changes no account, or the state would have gone before they have settled.

        Args:
            accounts: by SLO id, every one.
            rate: requests per second over the whole fleet.
            happens: from the judgements and the prices so far, the judgements with what `dt_s` seconds bring of bad and valid events.
            steps: how often the law may move, each time by `dt_s` seconds.
        """
        cards = self._cards()
        self._memory, self._ledger = Memory(rate, RATE_MEMORY_S, version=1), Ledger(self._slos, dict(accounts))
        held = self._ledger.judge(wall_s, rate, _mean(cards, lambda c: c.cheapest_usd()))
        tick = Tick(0.0, wall_s, held, 0.0, rate, tuple(cards.values()), {}, health, self._delay_s)
        self._law.start(tick)
        ruling = self._law.step(tick)
        priced = as_prices(ruling, held)
        moves = steps if ruling.fixed_threshold is None else 0  # Thresholds follow how fast budgets burn, of which nothing is said.
        for step in range(1, moves + 1):
            now = structs.replace(
                tick, dt_s=dt_s, wall_s=wall_s + step * dt_s, judgements=happens(held, priced), fresh_requests=rate * dt_s
            )
            ruling = self._law.step(now)
            priced = as_prices(ruling, held)
        self._ruling, self._priced = ruling, priced
        return Published(self._say(ruling, held, cards, self._factors(), 0, wall_s), self._remember(), {}, held)

    def _learn(self, fresh: Mapping[str, int], settled: int, dt_s: float) -> None:
        """Average the request rate, and what models bill against what was expected."""
        m = self._memory
        if m.rate is None:
            believed = self.believed_rate()
            m.rate, m.age_s = believed or 0.0, RATE_MEMORY_S if believed else 0.0
        if dt_s <= 0:
            return
        m.age_s = min(m.age_s + dt_s, RATE_MEMORY_S)
        m.rate += (settled / dt_s - m.rate) * min(1.0, dt_s / m.age_s)
        for name, n_field, usd_field, expected_field in self._billed:
            bills, usd, expected = fresh.get(n_field, 0), fresh.get(usd_field, 0), fresh.get(expected_field, 0)
            if bills > 0 and expected > 0 and usd >= 0:  # Below 0 as above.
                m.bills.setdefault(name, Bills()).take(bills, usd, expected)

    def _factors(self) -> dict[str, float]:
        """Return what models charge over what was expected, by name; those that nothing is known of are missing."""
        return {name: bills.factor for name, bills in self._memory.bills.items()}

    def believed_rate(self) -> float | None:
        """Return the operator's forecast as a rate; None without one."""
        for slo in self._slos:
            requests = getattr(slo.spec.options, "forecast_requests", None)
            if requests and slo.spec.period is not None:
                starts_s, ends_s = slo.bounds(0.0)
                return float(requests) / (ends_s - starts_s)
        return None

    def _say(
        self,
        ruling: Ruling,
        judgements: Sequence[Judgement],
        cards: Mapping[str, Card],
        factors: Mapping[str, float],
        fencing_token: int,
        wall_s: float,
        is_quick: bool = False,
    ) -> Prices:
        m, published = self._memory, self._priced
        alphas: dict[str, float] = {}
        by_class: dict[str, dict[str, float]] = {}
        prices = Prices(
            version=m.version,
            fencing_token=fencing_token,
            config_hash=self._config_hash,
            made_wall_s=wall_s,
            law=self._law.kind,
            prices=published,
            mean_value=_mean(cards, lambda c: c.mean_value),
            fixed_threshold=ruling.fixed_threshold,
            factors=factors,
            alpha_ref=alphas,
            alpha_by_class=by_class,
            mode=mode_of(published, judgements),
            infeasible=ruling.infeasible,
            exhausted=tuple(j.slo.spec.name for j in judgements if j.is_exhausted),
            request_rate=m.rate or 0.0,
        )
        for route, card in cards.items():
            gain, terms = self._gains[route], terms_of(prices, route)
            alphas[route] = alpha_ref(gain, card, terms)
            if not is_quick:
                by_class[route] = {name: alpha_ref(gain, card, terms, value / prices.mean_value) for name, value in self._classes.items()}
        return prices

    def _remember(self) -> dict[str, Any]:
        m = self._memory
        governor = {
            "rate": m.rate,
            "age_s": m.age_s,
            "bills": {name: bills.as_json() for name, bills in m.bills.items()},
            "last_wall_s": m.last_wall_s,
            "version": m.version,
        }
        openings = {slo_id: opening.as_json() for slo_id, opening in self._ledger.openings.items()}
        return {"governor": governor, "law": self._law.kind, "law_memory": self._law.remember(), "openings": openings}


def _mean(cards: Mapping[str, Card], of: Callable[[Card], float]) -> float:
    """Return the traffic-weighted mean of a card's figure; 1.0 without cards, which prices nothing."""
    total = weight = 0.0
    for card in cards.values():
        total += card.weight * of(card)
        weight += card.weight
    return total / weight if weight > 0 else 1.0
