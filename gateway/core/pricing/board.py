"""The board: everything about budgets that people and dashboards see, as plain data, published with the prices."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.budget.alerts import Alerts, Readings
from gateway.core.budget.burn import LONG_WINDOWS_S, WINDOWS_S, burn_rate, spend_rate
from gateway.core.budget.counts import Counts
from gateway.core.budget.ledger import Judgement
from gateway.core.budget.slo import scoped
from gateway.core.budget.windows import Windows
from gateway.core.pricing.law import Ruling
from gateway.domain.event import MILLI, NANO
from gateway.domain.prices import Price, Prices

ALL_WINDOWS_S = WINDOWS_S | LONG_WINDOWS_S
AGEING_STEPS = 24
"""Parts of a rolling window whose old events are taken off one after the other when its exhaustion is foretold."""
RECENT_S = 3600.0
"""Traffic split, sheds and reasons are shown over the last hour."""


def board_of(prices: Prices, judgements: Sequence[Judgement], counts: Counts, wall_s: float, alerts: Alerts) -> dict[str, Any]:
    """Return the board; its shape is part of the admin API. `alerts` remembers which tiers are on."""
    by_slo = {p.slo: p for p in prices.prices}
    read = {j.slo.id: alerts.windows.readings(j.slo, counts, wall_s, ALL_WINDOWS_S) for j in judgements if j.slo.spec.kind != "cost"}
    fleet = {j.slo.spec.kind: read[j.slo.id] for j in judgements if j.slo.spec.route is None and j.slo.id in read}
    return {
        "made_wall_s": wall_s,
        "law": prices.law,
        "mode": prices.mode,
        "alpha_ref": dict(prices.alpha_ref),
        "alpha_by_class": {route: dict(by_class) for route, by_class in prices.alpha_by_class.items()},
        "version": prices.version,
        "fencing_token": prices.fencing_token,
        "request_rate": prices.request_rate,
        "infeasible": list(prices.infeasible),
        "exhausted": list(prices.exhausted),
        "mean_value": prices.mean_value,
        "config_hash": prices.config_hash,
        "budgets": [
            _budget(j, by_slo.get(j.slo.spec.name), counts, wall_s, read.get(j.slo.id, {}), alerts.windows)
            | {"alert": _alert(j, alerts, read, fleet)}
            for j in judgements
        ],
        "traffic": _traffic(counts, wall_s),
    }


def _alert(j: Judgement, alerts: Alerts, read: Mapping[str, Readings], fleet: Mapping[str, Readings]) -> str | None:
    """Return the worst tier that an SLO is in; a cost budget has none, it is watched by its forecast."""
    own = read.get(j.slo.id)
    if own is None:
        return None
    return alerts.look(j.slo, own, fleet.get(j.slo.spec.kind) if j.slo.spec.route is not None else None, j.length_s)


def _budget(j: Judgement, price: Price | None, counts: Counts, wall_s: float, own: Readings, sums: Windows) -> dict[str, Any]:
    spec = j.slo.spec
    shown: dict[str, Any] = {
        "slo": spec.name,
        "id": j.slo.id,
        "kind": spec.kind,
        "route": spec.route,
        "objective": spec.objective,
        "remaining": j.remaining if j.has_data or spec.kind != "quality" else None,
        "elapsed": j.elapsed,
        "period_ends_wall_s": j.ends_s if spec.period is not None else None,
        "window_s": spec.window_s,
        "forecast_requests_left": j.left,
        "forecast_level": j.level,
        "arrived": j.arrived,
        "projected": j.projected,
        "price": price.value if price else 0.0,
        "price_unit": j.slo.sli.unit,
        "allowance": price.allowance if price else j.allowance,
        "fair_allowance": j.fair,
        "is_exhausted": j.is_exhausted,
        "samples": j.valid,
    }
    if spec.kind == "cost":
        budget_usd = float(spec.options.usd)
        windows = {n: w for n, w in ALL_WINDOWS_S.items() if w <= max(j.length_s, 300.0)}
        spent = sums.totals(j.slo.bad_field, counts, wall_s, windows)
        estimated = counts.total(scoped("est", spec.route), j.ends_s - j.length_s, wall_s + 60) / NANO
        shown |= {"budget_usd": budget_usd, "spent_usd": j.bad, "estimated_usd": estimated}
        shown["burn"] = {n: spend_rate(nano / NANO, windows[n], budget_usd, j.length_s) for n, nano in spent.items()}
        hour_s = min(RECENT_S, j.length_s)
        rate = counts.total(j.slo.bad_field, wall_s - hour_s, wall_s + 10) / NANO / hour_s
        shown["exhausts_wall_s"] = _exhausts(j, counts, wall_s, rate, budget_usd)
    else:
        shown |= {"bad": j.bad, "valid": j.valid}
        if spec.kind == "quality":
            shown |= {"evidence": j.evidence, "predicted": _predicted(j, counts, wall_s)}
        shown["burn"] = {n: burn_rate(r, j.slo.bad_ratio) for n, r in own.items()}
        rate = counts.total(j.slo.bad_field, wall_s - RECENT_S, wall_s + 10) / j.slo.bad_scale / RECENT_S
        shown["exhausts_wall_s"] = _exhausts(j, counts, wall_s, rate, j.slo.bad_ratio * j.events) if j.has_data else None
    return shown


def _predicted(j: Judgement, counts: Counts, wall_s: float) -> float | None:
    """Return the share of answers of the last hour that the router expected to be bad; None when it scored none."""
    scored, lost = (counts.total(f, wall_s - RECENT_S, wall_s + 10) for f in (j.slo.scored_field, j.slo.lost_field))
    return lost / MILLI / scored if scored > 0 else None


def _exhausts(j: Judgement, counts: Counts, wall_s: float, rate: float, budget: float) -> float | None:
    """Return when bad events (dollars) at the last hour's rate use up what is left; None when they do not.

    A rolling window gives back what ages out of it, which the slots know: it is exhausted when what is in it, with what comes and
    without what has left, first reaches the budget within the next window.
    """
    left = budget - j.bad
    if rate <= 0 or left <= 0:
        return None
    at_s = wall_s + left / rate
    if j.slo.spec.period is not None:
        return at_s if at_s < j.ends_s else None
    if at_s >= wall_s + j.length_s:
        return None  # Not even without what ages out.
    step_s, aged, before = j.length_s / AGEING_STEPS, 0.0, 0.0
    for step in range(1, AGEING_STEPS + 1):
        from_s = wall_s - j.length_s + (step - 1) * step_s
        before, aged = aged, aged + counts.total(j.slo.bad_field, from_s, from_s + step_s) / j.slo.bad_scale
        over = rate * step * step_s - aged - left
        if over >= 0:
            short = left - (rate * (step - 1) * step_s - before)
            return wall_s + (step - over / (over + short)) * step_s
    return None


def _traffic(counts: Counts, wall_s: float) -> dict[str, Any]:
    since_s, until_s = wall_s - RECENT_S, wall_s + 10
    models: dict[str, dict[str, float]] = {}
    classes: dict[str, float] = {}
    sheds: dict[str, float] = {}
    reasons: dict[str, float] = {}
    for name in sorted(counts.fields()):
        first, _, rest = name.partition(".")
        if first not in ("m", "k", "shed", "end"):
            continue
        amount = counts.total(name, since_s, until_s)
        if first == "m":
            model, _, what = rest.rpartition(".")
            if what in ("n", "usd"):
                models.setdefault(model, {"requests": 0.0, "usd": 0.0})["requests" if what == "n" else "usd"] = (
                    amount if what == "n" else amount / NANO
                )
        else:
            {"k": classes, "shed": sheds, "end": reasons}[first][rest] = amount
    everything = sum(m["requests"] for m in models.values())
    shown = {name: {**m, "share": m["requests"] / everything if everything else 0.0} for name, m in models.items()}
    return {"window_s": RECENT_S, "models": shown, "classes": classes, "sheds": sheds, "reasons": reasons}


def as_prices(ruling: Ruling, judgements: Sequence[Judgement]) -> tuple[Price, ...]:
    """Return published prices for a law's ruling, in the judgements' order."""
    prices, allowances = ruling.prices, ruling.allowances
    specs = [(j.slo.spec, j) for j in judgements]
    return tuple(
        [Price(s.name, s.kind, prices[s.name], allowances.get(s.name, j.allowance), s.route) for s, j in specs if s.name in prices]
    )
