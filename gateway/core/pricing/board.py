"""The board: everything about budgets that people and dashboards see, as plain data, published with the prices."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.budget.book import predicted_fields
from gateway.core.budget.burn import WINDOWS_S, burn_rate, spend_rate
from gateway.core.budget.counts import Counts
from gateway.core.budget.ledger import HORIZON, Judgement
from gateway.core.budget.slo import scoped
from gateway.domain.event import MILLI, NANO
from gateway.domain.prices import Price, Prices
from gateway.domain.reading import Reading

RECENT_S = 3600.0
"""Traffic split, sheds and reasons are shown over the last hour."""


def board_of(prices: Prices, judgements: Sequence[Judgement], counts: Counts, wall_s: float) -> dict[str, Any]:
    """Return the board; its shape is part of the admin API."""
    by_slo = {p.slo: p for p in prices.prices}
    return {
        "made_wall_s": wall_s,
        "law": prices.law,
        "mode": prices.mode,
        "alpha_ref": dict(prices.alpha_ref),
        "request_rate": prices.request_rate,
        "infeasible": list(prices.infeasible),
        "exhausted": list(prices.exhausted),
        "mean_value": prices.mean_value,
        "config_hash": prices.config_hash,
        "budgets": [_budget(j, by_slo.get(j.slo.spec.name), counts, wall_s) for j in judgements],
        "traffic": _traffic(counts, wall_s),
    }


def _budget(j: Judgement, price: Price | None, counts: Counts, wall_s: float) -> dict[str, Any]:
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
        "arrived": j.arrived,
        "projected": j.projected,
        "price": price.value if price else 0.0,
        "price_unit": j.slo.sli.unit,
        "allowance": j.allowance,
        "fair_allowance": j.fair,
        "is_exhausted": j.is_exhausted,
        "samples": j.valid,
    }
    if spec.kind == "cost":
        budget_usd = float(spec.options.usd)
        windows = {n: w for n, w in WINDOWS_S.items() if w <= max(j.length_s, 300.0)}
        spent = {n: counts.total(j.slo.bad_field, wall_s - w, wall_s + 10) / NANO for n, w in windows.items()}
        estimated = counts.total(scoped("est", spec.route), j.ends_s - j.length_s, wall_s + 60) / NANO
        shown |= {"budget_usd": budget_usd, "spent_usd": j.bad, "estimated_usd": estimated}
        shown["burn"] = {n: spend_rate(usd, WINDOWS_S[n], budget_usd, j.length_s) for n, usd in spent.items()}
        hour_s = min(RECENT_S, j.length_s)
        rate = counts.total(j.slo.bad_field, wall_s - hour_s, wall_s + 10) / NANO / hour_s
        shown["exhausts_wall_s"] = wall_s + (budget_usd - j.bad) / rate if rate > 0 and not j.is_exhausted else None
    else:
        shown |= {"bad": j.bad, "valid": j.valid}
        if spec.kind == "quality":
            shown |= {"evidence": j.evidence, "predicted": _predicted(j, counts, wall_s)}
        shown["burn"] = {n: burn_rate(_reading(j, counts, wall_s, w), j.slo.bad_ratio) for n, w in WINDOWS_S.items()}
        shown["exhausts_wall_s"] = _exhausts(j, counts, wall_s)
    return shown


def _reading(j: Judgement, counts: Counts, wall_s: float, window_s: float) -> Reading:
    bad, valid = (counts.total(f, wall_s - window_s, wall_s + 10) for f in (j.slo.bad_field, j.slo.valid_field))
    return Reading(bad, valid, window_s)


def _predicted(j: Judgement, counts: Counts, wall_s: float) -> float | None:
    """Return the share of answers of the last hour that the router expected to be bad; None when it scored none."""
    scored, lost = (counts.total(f, wall_s - RECENT_S, wall_s + 10) for f in predicted_fields(j.slo))
    return lost / MILLI / scored if scored > 0 else None


def _exhausts(j: Judgement, counts: Counts, wall_s: float) -> float | None:
    """Return when the last hour's rate of bad events uses up what is left; None when it does not, or without data."""
    left = j.slo.bad_ratio * (j.valid + j.to_come) - j.bad
    rate = counts.total(j.slo.bad_field, wall_s - RECENT_S, wall_s + 10) / j.slo.bad_scale / RECENT_S
    if rate <= 0 or left <= 0:
        return None
    # What is to come of a rolling window is planned for a part of it only: beyond, old failures age out.
    ends_s = j.ends_s if j.slo.spec.period is not None else wall_s + HORIZON * j.length_s
    at_s = wall_s + left / rate
    return at_s if at_s < ends_s else None


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


def as_prices(rulings: Mapping[str, float], judgements: Sequence[Judgement]) -> tuple[Price, ...]:
    """Return published prices for a law's ruling, in the judgements' order."""
    return tuple(
        Price(j.slo.spec.name, j.slo.spec.kind, rulings[j.slo.spec.name], j.allowance, j.slo.spec.route)
        for j in judgements
        if j.slo.spec.name in rulings
    )
