"""The gateway's SLOs as OpenSLO v1 documents: a Service, a DataSource, and per ratio SLO an SLO with its alert policies.

An alert policy of OpenSLO has exactly one condition over one window, so a multi-window pair becomes two policies; whoever
imports them should fire when both of a pair breach. Dollars of a period and verdicts have no ratio of counters in
Prometheus: cost and quality SLOs are named in a comment instead of being bent.
Source: OpenSLO/OpenSLO, README of v1.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from gateway.core.budget.slo import SloSpec
from gateway.core.budget.tiers import Tier
from gateway.formats.rules import SERVICE, counts_of, tiers_of, window_name, window_s

API = "openslo/v1"
DATA_SOURCE = "prometheus"
CALENDAR = {"hour": "1h", "day": "1d", "week": "1w", "month": "1M"}
STARTS = {"hour": "2024-01-01 00:00:00", "day": "2024-01-01 00:00:00", "week": "2024-01-01 00:00:00", "month": "2024-01-01 00:00:00"}
"""A Monday and a first of the month: a boundary of every calendar period."""


def openslo_yaml(slos: Sequence[SloSpec], exempt_classes: Sequence[str] = ()) -> str:
    """Return a stream of OpenSLO v1 documents."""
    ratios = [s for s in slos if counts_of(s, None) is not None]
    left_out = [f"{s.name} ({s.kind})" for s in slos if s not in ratios]
    head = "# Written by `sluice export openslo`. Edit the configuration of the gateway instead of this file.\n"
    if left_out:
        head += f"# Not expressible as a ratio of counters: {', '.join(left_out)}.\n"
    documents = [
        _document("Service", SERVICE, {"description": "OpenAI-compatible gateway that spends money, latency and errors as budgets"}),
        _document("DataSource", DATA_SOURCE, {"type": "Prometheus", "connectionDetails": {"url": "http://prometheus:9090"}}),
    ]
    for slo in ratios:
        documents += [_slo(slo, exempt_classes), *_policies(slo)]
    return head + yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True, width=10_000, allow_unicode=True)


def _slo(slo: SloSpec, exempt_classes: Sequence[str]) -> dict[str, Any]:
    counts = counts_of(slo, None, exempt_classes)
    assert counts is not None
    bad, total = ({"metricSource": {"type": "Prometheus", "metricSourceRef": DATA_SOURCE, "spec": {"query": query}}} for query in counts)
    where = f"route {slo.route}" if slo.route else "all routes"
    spec = {
        "description": f"{slo.kind} of {where}",
        "service": SERVICE,
        "indicator": {
            "metadata": {"name": f"{_name(slo.name)}-sli", "displayName": slo.kind},
            "spec": {"ratioMetric": {"counter": True, "bad": bad, "total": total}},
        },
        "timeWindow": [_window(slo)],
        "budgetingMethod": "Occurrences",
        "objectives": [{"displayName": slo.name, "target": slo.objective}],
        "alertPolicies": [{"alertPolicyRef": name} for name, _, _ in _windows(slo)],
    }
    return _document("SLO", slo.name, spec)


def _window(slo: SloSpec) -> dict[str, Any]:
    if slo.period is None or slo.period.unit not in CALENDAR:
        return {"duration": _shorthand(window_s(slo)), "isRolling": True}
    unit = slo.period.unit
    calendar = {"startTime": STARTS[unit], "timeZone": slo.period.timezone}
    return {"duration": CALENDAR[unit], "calendar": calendar, "isRolling": False}


def _policies(slo: SloSpec) -> Iterator[dict[str, Any]]:
    for name, tier, window in _windows(slo):
        condition = {
            "kind": "AlertCondition",
            "metadata": {"name": f"{name}-condition"},
            "spec": {
                "description": f"burns {tier.factor(window_s(slo)):g} times too fast over {window}",
                "severity": tier.severity,
                "condition": {
                    "kind": "burnrate", "op": "gte", "threshold": tier.factor(window_s(slo)), "lookbackWindow": window, "alertAfter": "0m",
                },
            },
        }  # fmt: skip
        spec = {
            "description": f"{tier.severity} for {slo.name}, windows {tier.long} and {tier.short}",
            "alertWhenBreaching": True,
            "alertWhenResolved": False,
            "alertWhenNoData": False,
            "conditions": [condition],
            "notificationTargets": [],
        }
        yield _document("AlertPolicy", name, spec)


def _windows(slo: SloSpec) -> Iterator[tuple[str, Tier, str]]:
    """Yield policy name, tier and window of each single-window policy."""
    for tier in tiers_of(slo):
        for window in (tier.long, tier.short):
            yield f"{_name(slo.name)}-{tier.severity}-{tier.long}-{window}", tier, window


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": _name(name), "displayName": name}, "spec": spec}


def _name(name: str) -> str:
    """Return a name as RFC 1123 wants it: lower case letters, digits and dashes, at most 63."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    return plain[:63].rstrip("-") or SERVICE


def _shorthand(seconds: float) -> str:
    """Return a duration in OpenSLO's shorthand, which knows no seconds."""
    name = window_name(seconds)
    return f"{max(1, round(seconds / 60))}m" if name.endswith("s") else name
