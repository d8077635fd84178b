"""A hypothesis: budgets that stand as somebody says, and what the governor would make of them.

Theory. What is left of a budget says nothing of prices until it is known when, and of how much traffic. So a hypothesis has a moment
(`at`: the share of each period that has passed; rolling windows are filled, and what is in them is spread evenly) and a request
rate; accounts follow from these, and the ledger judges them as it judges any other. A law also moves with what comes in, so its prices
are those that it arrives at while traffic like the cards' comes for some time and the accounts are held as they are.
Bad events then come from the models that are supposed to fail or to be late, for `LASTS_S`; all others answer, and in time.

Not handled: a state that several budgets could not have come to together (an hour that spent more than its month); factors of bills,
the hours of the week, queues. Shown by `tests/unit/gateway/core/test_hypothesis.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from msgspec import structs

from gateway.core.budget.forecast import Forecast
from gateway.core.budget.ledger import HORIZON, Account, Judgement, Ledger
from gateway.core.budget.slo import Slo
from gateway.core.governor import Governor, Published
from gateway.core.placement.health import HEALTHY, LATE_START
from gateway.core.pricing.card import Card
from gateway.core.pricing.terms import terms_of
from gateway.domain.prices import Price, Prices

WALL_S = 0.0
"""Supposed present. Periods are as long as the one that it falls in: a month has 31 days."""
STEP_S, LASTS_S, QUIET_S = 15.0, 7200.0, 600.0
"""The longest step that laws take at once; how long models have been failing or late, long enough for a price
to settle where bad events are frequent, not for one of a tight objective at little traffic; and what is played where none is: prices then
stay where the cards put them, and within 10 min a law has named what cannot be met."""


class Impossible(Exception):
    """No traffic could have led to such a state; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A state of all budgets."""

    remaining: Mapping[str, float]
    """Share of each named SLO's budget that is left, at most 1, negative when overspent. Others: `usual_remaining`."""
    at: float = 0.5
    """Share of each period that has passed, 0 < at < 1."""
    rate: float | None = None
    """Requests per second over the whole fleet; None: what the forecasts say."""
    failing: Mapping[str, float] = field(default_factory=dict)
    late: Mapping[str, float] = field(default_factory=dict)
    """Probability, by model, that an attempt fails, or that its first token is late; models that are not named do neither."""

    def health(self, model: str) -> tuple[float, float]:
        """Return success and lateness of a model; those of one that nothing is known of where nothing is supposed."""
        return 1.0 - self.failing.get(model, 1.0 - HEALTHY), self.late.get(model, LATE_START)


def published(governor: Governor, hypothesis: Hypothesis, rate: float) -> Published:
    """Return what a governor would publish; it is used up by that.

    Args:
        rate: requests per second where the hypothesis does not say.
    Raises: Impossible.
    """
    rate, cards = hypothesis.rate or rate, governor.cards()
    accounts = {slo.id: _account(slo, hypothesis, rate * _share(slo, cards), rate) for slo in governor.slos}
    health = {m: hypothesis.health(m) for card in cards.values() for m in card.models}
    happens = partial(_events, hypothesis=hypothesis, cards=cards, requests=rate * STEP_S)
    time_s = LASTS_S if hypothesis.failing or hypothesis.late else QUIET_S
    return governor.suppose(accounts, rate, WALL_S, health, happens, STEP_S, round(time_s / STEP_S))


def usual_remaining(slo: Slo, at: float) -> float:
    """Return what is left of a budget that nothing is said of: dollars of a period as scheduled, everything else full."""
    if slo.spec.kind != "cost" or slo.spec.period is None:
        return 1.0
    forecast = _forecast(slo)
    return 1.0 - (at if forecast.requests is None else forecast.due(at * forecast.period_s) / forecast.requests)


def spending_rate(slo: Slo, cards: Mapping[str, Card], strong_share: float) -> float:
    """Return the requests per second of which a cost budget, spent evenly, buys the first model for a share, and the last for the rest."""
    routes = [c for r, c in cards.items() if slo.spec.route in (None, r)]
    usd = sum(c.mean_usd[0] * strong_share + c.mean_usd[-1] * (1.0 - strong_share) for c in routes) / max(len(routes), 1)
    return float(slo.spec.options.usd) / _length_s(slo) / usd / _share(slo, cards) if usd > 0 else 1.0


def _account(slo: Slo, hypothesis: Hypothesis, scope_rate: float, rate: float) -> Account:
    """Return the account of one SLO that the ledger judges as supposed.

    Args:
        scope_rate: requests per second of the SLO's own traffic; rate: of the fleet.
    """
    length_s, name = _length_s(slo), slo.spec.name
    remaining = hypothesis.remaining.get(name, usual_remaining(slo, hypothesis.at))
    if slo.spec.period is None:
        elapsed_s, came = length_s, scope_rate * length_s
        ends_s, ageing = WALL_S, HORIZON
    else:
        elapsed_s, forecast = hypothesis.at * length_s, _forecast(slo)
        ends_s, ageing, came = WALL_S - elapsed_s + length_s, 0.0, scope_rate * elapsed_s
        if forecast.requests is not None:
            came = forecast.due(elapsed_s) * (scope_rate * length_s / forecast.requests if hypothesis.rate is not None else 1.0)
    account = Account(
        WALL_S - elapsed_s, ends_s, WALL_S, valid=came, evidence=max(came, slo.evidence_min), arrived=came, settled=came,
        fleet=came * rate / scope_rate, ageing_valid=came * ageing,
    )  # fmt: skip
    [judged] = Ledger([slo], {slo.id: account}).judge(WALL_S, rate, 0.0)
    is_cost = slo.spec.kind == "cost"
    budget = float(slo.spec.options.usd) if is_cost else slo.bad_ratio * judged.events
    account.bad = (1.0 - remaining) * budget
    if not is_cost and account.bad > came:
        raise Impossible(f"{name}={remaining:g}: were every event so far a bad one, {1.0 - came / budget:.4g} would be left")
    account.ageing_bad = account.bad * ageing
    if slo.spec.kind == "quality" and slo.evidence_field is not None:  # Verdicts that bear the predictions out.
        account.predicted, account.scored = account.bad, came
        account.ageing_predicted, account.ageing_scored = account.ageing_bad, account.ageing_valid
    return account


def _events(
    held: Sequence[Judgement], priced: Sequence[Price], *, hypothesis: Hypothesis, cards: Mapping[str, Card], requests: float
) -> list[Judgement]:
    """Return the judgements with what some requests like the cards' bring, who choose under these prices."""
    prices = Prices(0, 0, "", WALL_S, "", tuple(priced))
    chosen = {}
    for route, card in cards.items():
        success, late = np.array([hypothesis.health(m) for m in card.models]).T
        columns = card.choose(terms_of(prices, route).per_unit, success, late, {}, card.draws)
        fails, is_late = (np.array([of.get(m, 0.0) for m in card.models]) for of in (hypothesis.failing, hypothesis.late))
        chosen[route] = card, columns, 1.0 - fails, is_late
    out = []
    for j in held:
        here = [chosen[r] for r in chosen if j.slo.spec.route in (None, r)]
        risks = [float(card.risks(j.slo.spec.kind, ok, late, {})[card.rows, columns].mean()) for card, columns, ok, late in here]
        valid = requests * _share(j.slo, cards)
        bad = valid * sum(risks) / max(len(risks), 1)
        is_scored = j.scored > 0
        out.append(
            structs.replace(
                j, fresh_bad=bad, fresh_valid=valid, fresh_predicted=bad if is_scored else 0.0, fresh_scored=valid if is_scored else 0.0
            )
        )
    return out


def _share(slo: Slo, cards: Mapping[str, Card]) -> float:
    """Return the part of the traffic that an SLO is about: the cards' routes get equal parts, as the law takes it."""
    return 1.0 if slo.spec.route is None else 1.0 / max(len(cards), 1)


def _length_s(slo: Slo) -> float:
    starts_s, ends_s = slo.bounds(WALL_S)
    return ends_s - starts_s


def _forecast(slo: Slo) -> Forecast:
    return Forecast.of(slo.spec.options, _length_s(slo))
