"""Prometheus rules on the gateway's own metrics, in the names that Sloth's dashboards read.

Per ratio SLO three groups: the SLI's error ratio over each window (`slo:sli_error:ratio_rate5m` ...), seven meta series, and a
page and a ticket alert that fire when two windows burn too fast (multi-window, multi-burn-rate). Per cost SLO and for
the gateway itself there are alerts on gauges. Availability and ttft are counted from counters, hence independent of
the store: an outage of it does not silence them. The others are read from the gauge: verdicts and conversations are only in
the store, and no histogram knows a prompt's length or a timeline.

Small known differences from the gateway's own budget: a client that left after its deadline is bad there and not counted
here, and the longest window averages 5-minute ratios (Sloth's optimised form) where ours weighs by events.
Source: Google SRE Workbook, "Alerting on SLOs"; names after slok/sloth.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from gateway.core.budget.burn import WINDOWS_S
from gateway.core.budget.slo import SloSpec
from gateway.core.budget.tiers import Tier, tiers_within
from gateway.domain.errors import Fault, Reason

SERVICE = "sluice"
DAY_S = 86_400.0
PERIODS_S = {"hour": 3600.0, "day": DAY_S, "week": 7 * DAY_S, "month": 30 * DAY_S}
SHEDS = (Reason.SHED_OVERLOAD.value, Reason.SHED_DEADLINE.value)
BAD = (Fault.BACKEND.value, Fault.US.value)
UNITS_S = (("w", 7 * DAY_S), ("d", DAY_S), ("h", 3600.0), ("m", 60.0))


def rules_yaml(slos: Sequence[SloSpec], exempt_classes: Sequence[str] = ()) -> str:
    """Return a rules file for Prometheus.

    Args:
        exempt_classes: classes whose sheds are no availability events.
    """
    groups: list[dict[str, Any]] = []
    for slo in slos:
        groups += _cost_groups(slo) if slo.kind == "cost" else _ratio_groups(slo, exempt_classes)
    groups.append({"name": "sluice-gateway-alerts", "rules": list(_gateway_alerts())})
    head = "# Written by `sluice export rules`. Edit the configuration of the gateway instead of this file.\n"
    return head + yaml.safe_dump({"groups": groups}, sort_keys=False, width=10_000, allow_unicode=True)


def window_s(slo: SloSpec) -> float:
    """Return the length of an SLO's window; a calendar month counts as 30 days."""
    if slo.window_s is not None:
        return slo.window_s
    if slo.period is None:
        return 28 * DAY_S
    return slo.period.length_s or PERIODS_S[slo.period.unit]


def window_name(seconds: float) -> str:
    """Return a duration as Prometheus prints it: the largest unit that divides it, so 28 days are 4w."""
    for unit, length in UNITS_S:
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"


def tiers_of(slo: SloSpec) -> Sequence[Tier]:
    """Return the alert tiers that make sense for an SLO's window."""
    return tiers_within(window_s(slo))


def counts_of(slo: SloSpec, window: str | None, exempt_classes: Sequence[str] = ()) -> tuple[str, str] | None:
    """Return PromQL for bad and valid events, per second over a window or (None) as counters; None when no counter tells."""
    if slo.kind == "availability":
        metric, scope = "sluice_requests_total", {"route": slo.route}
        bad: list[dict[str, Any]] = [{**scope, "fault~": BAD}]
        if exempt_classes:
            bad = [{**bad[0], "reason!~": SHEDS}, {**bad[0], "reason~": SHEDS, "class!~": exempt_classes}]
        if slo.route is None:  # At the door there is no route yet; it says 429, and is our own lack of room.
            bad.append({"reason": Reason.LIMIT_STREAMS.value})
        valid = _rates(metric, window, [{**scope, "fault": Fault.NOBODY.value}, *bad])
        return f"({_rates(metric, window, bad)} or vector(0))", valid
    if slo.kind == "ttft" and not slo.options.bins:  # The histogram does not know how long prompts were.
        metric, scope = "gen_ai_server_time_to_first_token_seconds", {"gen_ai_request_model": slo.route}
        valid = _rates(f"{metric}_count", window, [scope])
        good = _rates(f"{metric}_bucket", window, [{**scope, "le": repr(float(slo.options.at_most))}])
        return f"({valid} - {good})", valid
    return None


def _ratio_groups(slo: SloSpec, exempt_classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    ident = f"{SERVICE}-{slo.name}"
    yield {"name": f"sloth-slo-sli-recordings-{ident}", "rules": list(_recordings(slo, exempt_classes))}
    yield {"name": f"sloth-slo-meta-recordings-{ident}", "rules": list(_meta(slo))}
    alerts = list(_alerts(slo))
    if alerts:
        yield {"name": f"sloth-slo-alerts-{ident}", "rules": alerts}


def _recordings(slo: SloSpec, exempt_classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    length_s = window_s(slo)
    for name, seconds in WINDOWS_S.items():
        if seconds >= length_s:
            continue
        counts = counts_of(slo, name, exempt_classes)
        burn = f"max({_selector('sluice_budget_burn_rate', {'slo': slo.name, 'window': name})})"
        expr = f"{burn} * {_budget(slo)!r}" if counts is None else f"{counts[0]} / {counts[1]}"
        yield {"record": f"slo:sli_error:ratio_rate{name}", "expr": expr, "labels": {**_labels(slo), "sloth_window": name}}
    whole = window_name(length_s)
    short = _selector("slo:sli_error:ratio_rate5m", _labels(slo))
    average = f"sum_over_time({short}[{whole}]) / ignoring(sloth_window) count_over_time({short}[{whole}])"
    yield {"record": f"slo:sli_error:ratio_rate{whole}", "expr": average, "labels": {**_labels(slo), "sloth_window": whole}}


def _meta(slo: SloSpec) -> Iterator[dict[str, Any]]:
    labels, objective = _labels(slo), _objective(slo)
    budget = _selector("slo:error_budget:ratio", labels)

    def burn(window: str) -> str:
        return f"{_selector(f'slo:sli_error:ratio_rate{window}', labels)} / on(sloth_id, sloth_slo, sloth_service) group_left {budget}"

    for name, expr in (
        ("slo:objective:ratio", f"vector({objective!r})"),
        ("slo:error_budget:ratio", f"vector(1-{objective!r})"),
        ("slo:time_period:days", f"vector({window_s(slo) / DAY_S:g})"),
        ("slo:current_burn_rate:ratio", burn("5m")),
        ("slo:period_burn_rate:ratio", burn(window_name(window_s(slo)))),
        ("slo:period_error_budget_remaining:ratio", f"1 - {_selector('slo:period_burn_rate:ratio', labels)}"),
    ):
        yield {"record": name, "expr": expr, "labels": labels}
    info = {"sloth_version": SERVICE, "sloth_mode": "sluice-export", "sloth_spec": "sluice/v1", "sloth_objective": f"{100 * objective:g}"}
    yield {"record": "sloth_slo_info", "expr": "vector(1)", "labels": {**labels, **info}}


def _alerts(slo: SloSpec) -> Iterator[dict[str, Any]]:
    tiers = tiers_of(slo)
    for severity in ("page", "ticket"):
        pairs = [_pair(slo, t) for t in tiers if t.severity == severity]
        if pairs:
            yield {
                "alert": "SluiceErrorBudgetBurn",
                "expr": " or ignoring(sloth_window) ".join(pairs),
                "labels": {"sloth_severity": severity, "severity": severity, "slo": slo.name},
                "annotations": {
                    "title": f"({severity}) {{{{$labels.sloth_service}}}} {{{{$labels.sloth_slo}}}} burns its error budget too fast",
                    "summary": f"{slo.name}: at this pace the budget of {window_name(window_s(slo))} is gone before its time",
                },
            }


def _pair(slo: SloSpec, tier: Tier) -> str:
    limit = f"({tier.factor(window_s(slo))!r} * {_budget(slo)!r})"

    def over(window: str) -> str:
        return f"(max({_selector(f'slo:sli_error:ratio_rate{window}', _labels(slo))} > {limit}) without (sloth_window))"

    return f"({over(tier.short)} and {over(tier.long)})"


def _cost_groups(slo: SloSpec) -> Iterator[dict[str, Any]]:
    who = {"slo": slo.name}
    yield {
        "name": f"sluice-cost-alerts-{slo.name}",
        "rules": [
            _alert("SluiceSpendAhead", f"max({_selector('sluice_budget_projected_ratio', who)}) > 1.05", "30m", "ticket",
                   f"{slo.name}: forecast to spend more than its budget", **who),
            _alert("SluiceBudgetExhausted", f"max({_selector('sluice_budget_exhausted', who)}) == 1", "1m", "page",
                   f"{slo.name}: nothing is left; {slo.on_exhausted} is in force", **who),
        ],
    }  # fmt: skip


def _gateway_alerts() -> Iterator[dict[str, Any]]:
    for name, expr, wait, summary in (
        (
            "SluiceInfeasible",
            "max by (slo) (sluice_budget_infeasible) == 1",
            "15m",
            "{{$labels.slo}} cannot be met together with the SLOs before it",
        ),
        ("SluiceStoreAway", "max(sluice_store_away) == 1", "1m", "the store does not answer; prices are frozen, requests go on"),
        ("SluiceAlone", "max(sluice_alone) == 1", "0m", "the store is silent for long: each replica prices by its own counts"),
        (
            "SluiceStoreLostCounts",
            "sum(increase(sluice_store_mismatches_total[15m])) + sum(increase(sluice_store_lost_batches_total[15m])) > 0",
            "0m",
            "the store lost counts: sluice store check URL, then the state of the admin port",
        ),
        ("SluiceBudgetStateOld", "max(sluice_budget_state_age_seconds) > 60", "1m", "no fresh budget state; prices are frozen"),
        ("SluiceConfigNotTaken", "max(sluice_config_errors) > 0", "1m", "the last edit of the configuration has errors and was not taken"),
        ("SluiceConfigMismatch", "max(sluice_config_mismatch) == 1", "5m", "replicas run different configurations"),
        (
            "SluiceDecisionsLost",
            "sum(increase(sluice_decision_log_dropped_total[5m])) > 0",
            "0m",
            "the decision log loses lines: look at its disk",
        ),
        (
            "SluiceBackendBroken",
            'max by (backend, model) (sluice_breaker_state{state="open"}) == 1',
            "2m",
            "{{$labels.backend}} is not used: its breaker is open",
        ),
    ):
        yield _alert(name, expr, wait, "ticket", summary)


def _alert(name: str, expr: str, wait: str, severity: str, summary: str, **labels: str) -> dict[str, Any]:
    return {"alert": name, "expr": expr, "for": wait, "labels": {"severity": severity} | labels, "annotations": {"summary": summary}}


def _objective(slo: SloSpec) -> float:
    return slo.objective if slo.objective is not None else 0.0


def _budget(slo: SloSpec) -> float:
    return 1.0 - _objective(slo)


def _labels(slo: SloSpec) -> dict[str, str]:
    return {"sloth_id": f"{SERVICE}-{slo.name}", "sloth_service": SERVICE, "sloth_slo": slo.name}


def _rates(metric: str, window: str | None, selections: Iterable[Mapping[str, Any]]) -> str:
    """Return the sum of one or more disjoint selections of a counter, or of their rates."""
    chosen = [_selector(metric, s) for s in selections]
    return "sum(" + " or ".join(c if window is None else f"rate({c}[{window}])" for c in chosen) + ")"


def _selector(metric: str, labels: Mapping[str, Any]) -> str:
    """Return `metric{label="value",...}`; a key ending in ~ or !~ is a pattern over several values, None is left out."""
    parts = []
    for key, value in labels.items():
        if value is None:
            continue
        is_pattern = key.endswith("~")
        sign = "!~" if key.endswith("!~") else "=~" if is_pattern else "="
        text = "|".join(_literal(v) for v in value) if is_pattern else str(value).replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'{key.rstrip("~!")}{sign}"{text}"')
    return f"{metric}{{{','.join(parts)}}}" if parts else metric


def _literal(value: str) -> str:
    """Return a value as a pattern for itself; names of ours hold letters, digits and . _ - / : @ only."""
    return value.replace(".", "\\\\.")
