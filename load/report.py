"""Results as people read them: a table in the terminal, and one self-contained HTML page with plots.

Several results lie over each other where that says something (spend, threshold, shares, first tokens), and beside each
other where it would only confuse. Everything is drawn from rows and samples, so sockets and virtual time give the same page.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from load.plot import Chart, Line, Point, Shade, figure, has_data
from load.result import NOT_RUNNING, SERVED, SHEDS, Result, Row

STYLE = files("load") / "report.css"
MINUTE_S = 60.0
BUCKETS_MIN = 30
"""Short runs are drawn in this many steps instead of whole minutes."""
PERCENTILES = (50, 90, 99)
DASHES = ("", "5 3", "2 3")
USE_MAX = 2.0
BURN_MAX = 5.0
"""Upper ends of axes whose quantity has no bound; beyond them only the direction matters."""


def render(results: Sequence[Result]) -> str:
    """Return the page."""
    names = labels(results)
    first = results[0]
    title = f"{first.scenario}: {', '.join(names)}"
    top = [_spend(results, names), _threshold(results, names)]
    charts = [_share(results, names)]
    charts += [_by_class(r, n) for r, n in zip(results, names, strict=True)]
    charts += _ttft(results, names)
    for r, n in zip(results, names, strict=True):
        charts += [_use(r, n), _burn(r, n), _prices(r, n), _losses(r, n)]
    charts = [c for c in [*charts, _requests(first)] if has_data(c)]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE.read_text()}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{escape(_summary(results[0]))}</p>{_happened(first)}"
        f'<div class="top"><div>{_table(results, names)}</div><div>{"".join(figure(c) for c in top)}</div></div>'
        f'<div class="charts">{"".join(figure(c) for c in charts)}</div>'
        f"<p class='note'>Time is that of the scenario. A shaded span: orange a fault, blue a burst, grey an event of the harness. "
        f"Threshold: lowest win rate sent to the strong model, for the median request with healthy backends.</p></body></html>\n"
    )


def labels(results: Sequence[Result]) -> list[str]:
    """Return a name for each result, told apart by as little as needed."""
    plain = [f"{r.kind} {r.law}" for r in results]
    if len({r.scenario for r in results}) > 1:
        plain = [f"{r.scenario} {name}" for r, name in zip(results, plain, strict=True)]
    return [f"{name} #{plain[: i + 1].count(name)}" if plain.count(name) > 1 else name for i, name in enumerate(plain)]


def text(result: Result) -> str:
    """Return the figures as a table for a terminal."""
    rows = [(name, cell) for name, cell in zip(_names([result]), _cells(result, _names([result])), strict=True) if cell != "-"]
    width = max(len(name) for name, _ in rows)
    return "\n".join([f"{result.scenario} ({result.kind}, {result.law})", *(f"  {name:{width}}  {cell}" for name, cell in rows)])


# -- charts ------------------------------------------------------------------------------------------------------------


def _chart(result: Result, title: str, y_label: str, lines: Sequence[Line], y_max: float | None = None, note: str = "") -> Chart:
    return Chart(title, "time (min)", y_label, lines, _shades(result), y_max, note, result.duration_s / MINUTE_S)


def _spend(results: Sequence[Result], names: Sequence[str]) -> Chart:
    first, lines = results[0], []
    end_min = first.duration_s / MINUTE_S
    if first.budget_usd is not None:
        lines.append(Line("budget", [(0, first.budget_usd), (end_min, first.budget_usd)], "limit"))
        lines.append(Line("even spending", [(0, 0.0), (end_min, first.budget_usd)], "muted", "5 3"))
    if len(results) == 1 and any(s.spent_usd is not None for s in first.samples):
        points: list[Point] = [(s.t_s / MINUTE_S, s.spent_usd) for s in first.samples if s.t_s <= first.duration_s]
        lines.append(Line("as the gateway counted", points, "c1"))
    for i, (r, name) in enumerate(zip(results, names, strict=True)):
        lines.append(Line(name, _cumulated(r), f"c{i}"))
    return _chart(first, "Spend against budget", "spent since start (USD)", lines)


def _threshold(results: Sequence[Result], names: Sequence[str]) -> Chart:
    lines = [
        Line(n, [(s.t_s / MINUTE_S, s.alpha_ref) for s in r.samples if s.t_s <= r.duration_s], f"c{i}", is_stepped=True)
        for i, (r, n) in enumerate(zip(results, names, strict=True))
    ]
    return _chart(results[0], "Reference threshold α_ref", "win rate (0 to 1)", lines)


def _share(results: Sequence[Result], names: Sequence[str]) -> Chart:
    lines = [Line(n, _of_buckets(r, r.rows, _strong_share(r)), f"c{i}") for i, (r, n) in enumerate(zip(results, names, strict=True))]
    return _chart(results[0], f"Strong share, per {_step(results[0])}", "share of served (0 to 1)", lines, 1.0)


def _by_class(r: Result, name: str) -> Chart:
    lines = [
        Line(klass, _of_buckets(r, [row for row in r.rows if row.klass == klass], _strong_share(r)), f"c{i}")
        for i, klass in enumerate(sorted({row.klass for row in r.rows}))
    ]
    return _chart(r, f"Strong share by class, {name}", "share of served (0 to 1)", lines, 1.0)


def _ttft(results: Sequence[Result], names: Sequence[str]) -> list[Chart]:
    charts = []
    for model in sorted({row.model for r in results for row in r.rows if row.model is not None}):
        lines = []
        for i, (r, name) in enumerate(zip(results, names, strict=True)):
            rows = [row for row in r.rows if row.model == model and row.ttft_s is not None]
            for j, percent in enumerate(PERCENTILES):
                style, dash = (f"c{i}", DASHES[j]) if len(results) > 1 else (f"c{j}", "")
                label = f"{name} p{percent}" if len(results) > 1 else f"p{percent}"
                lines.append(Line(label, _of_buckets(r, rows, _percentile(percent)), style, dash))
        charts.append(_chart(results[0], f"Time to first token, model {model}, per {_step(results[0])}", "TTFT (s)", lines))
    return charts


def _use(r: Result, name: str) -> Chart:
    lines: list[Line] = [
        Line(slo, [(s.t_s / MINUTE_S, s.projected.get(slo)) for s in r.samples if s.t_s <= r.duration_s], style)
        for slo, style in _slo_styles(r).items()
    ]
    lines.append(Line("just used up", [(0, 1.0), (r.duration_s / MINUTE_S, 1.0)], "limit"))
    note = f"If things go on as they went; drawn up to {USE_MAX:g}."
    return _chart(r, f"Use of each budget at the end of its period, {name}", "projected use (1 = all)", lines, USE_MAX, note)


def _burn(r: Result, name: str) -> Chart:
    lines, styles = list[Line](), _slo_styles(r)
    if r.budget_usd is not None:
        even = r.budget_usd / r.duration_s
        cost = next((slo["name"] for slo in r.notes.get("slos", ()) if slo["kind"] == "cost"), "cost")
        lines.append(
            Line(cost, _of_buckets(r, r.rows, lambda rows: sum(x.usd for x in rows) / (even * _bucket_s(r)), True), styles.get(cost, "c0"))
        )
    for slo in r.notes.get("slos", ()):
        is_bad = _bad(slo)
        if is_bad is not None:
            lines.append(Line(slo["name"], _of_buckets(r, r.rows, _burn_rate(is_bad, slo["objective"])), styles[slo["name"]]))
    lines.append(Line("even", [(0, 1.0), (r.duration_s / MINUTE_S, 1.0)], "limit"))
    note = f"1 uses the budget up exactly at the period's end; drawn up to {BURN_MAX:g}."
    return _chart(r, f"Burn rate, per {_step(r)}, {name}", "burn (times even)", lines, BURN_MAX, note)


def _prices(r: Result, name: str) -> Chart:
    lines = [
        Line(slo, [(s.t_s / MINUTE_S, s.prices.get(slo)) for s in r.samples if s.t_s <= r.duration_s], style, is_stepped=True)
        for slo, style in _slo_styles(r).items()
    ]
    note = "Of money: request values per even share of the budget. Of others: mean request values per bad event."
    return _chart(r, f"Prices, {name}", "price (request values)", lines, note=note)


def _losses(r: Result, name: str) -> Chart:
    """Draw what was not served, per minute: sheds by class, failures."""
    per_minute = MINUTE_S / _bucket_s(r)
    kinds: list[tuple[str, str, Callable[[Row], bool]]] = [
        ("failed", "c1", lambda row: row.reason not in (SERVED, NOT_RUNNING, *SHEDS)),
        ("gateway stopped by the harness", "muted", lambda row: row.reason == NOT_RUNNING),
    ]
    for klass, style in zip(sorted({row.klass for row in r.rows}), ("c0", "c2", "c3", "c4", "c5"), strict=False):
        kinds.append((f"shed, {klass}", style, lambda row, klass=klass: row.reason in SHEDS and row.klass == klass))  # type: ignore[misc]
    lines = [
        Line(label, _of_buckets(r, found, lambda rows: len(rows) * per_minute, True), style)
        for label, style, is_of in kinds
        if (found := [row for row in r.rows if is_of(row)]) or label == "failed"
    ]
    return _chart(r, f"Sheds and failures, {name}", "requests per minute", lines)


def _requests(r: Result) -> Chart:
    per_minute = MINUTE_S / _bucket_s(r)
    lines = [
        Line(label, _of_buckets(r, rows, lambda found: len(found) * per_minute, True), style)
        for label, rows, style in [
            ("all", r.rows, "muted"),
            *((k, [x for x in r.rows if x.klass == k], f"c{i}") for i, k in enumerate(sorted({x.klass for x in r.rows}))),
        ]
    ]
    return _chart(r, "Arrivals by class", "requests per minute", lines)


# -- what the charts are drawn from --------------------------------------------------------------------------------------


def _slo_styles(r: Result) -> dict[str, str]:
    """Return a colour for each SLO, the same in all charts of a result."""
    names = {slo["name"]: None for slo in r.notes.get("slos", ())} | {slo: None for s in r.samples for slo in (*s.projected, *s.prices)}
    return {name: f"c{i % 6}" for i, name in enumerate(names)}


def _bucket_s(r: Result) -> float:
    return min(MINUTE_S, r.duration_s / BUCKETS_MIN)


def _step(r: Result) -> str:
    return "minute" if _bucket_s(r) == MINUTE_S else f"{_bucket_s(r):.3g} s"


def _of_buckets(r: Result, rows: Sequence[Row], value: Callable[[Sequence[Row]], float | None], counts_empty: bool = False) -> list[Point]:
    """Return a figure per step of time, at its middle; steps without rows are gaps, or zero where nothing is a number too."""
    step_s = _bucket_s(r)
    # A last step that is only begun would show a drop that never was.
    sorted_in: list[list[Row]] = [[] for _ in range(max(1, int(r.duration_s / step_s + 1e-9)))]
    for row in rows:
        at = int(row.at_s / step_s)
        if at < len(sorted_in):
            sorted_in[at].append(row)
    return [((i + 0.5) * step_s / MINUTE_S, value(found) if found or counts_empty else None) for i, found in enumerate(sorted_in)]


def _strong_share(r: Result) -> Callable[[Sequence[Row]], float | None]:
    def share(rows: Sequence[Row]) -> float | None:
        served = [row for row in rows if row.reason == SERVED]
        return sum(row.model == r.strong for row in served) / len(served) if served else None

    return share


def _percentile(percent: int) -> Callable[[Sequence[Row]], float | None]:
    return lambda rows: float(np.percentile([row.ttft_s for row in rows if row.ttft_s is not None], percent))


def _burn_rate(is_bad: Callable[[Row], bool | None], objective: float) -> Callable[[Sequence[Row]], float | None]:
    def burn(rows: Sequence[Row]) -> float | None:
        events = [bad for row in rows if (bad := is_bad(row)) is not None]
        return sum(events) / len(events) / (1 - objective) if events else None

    return burn


def _bad(slo: Mapping[str, Any]) -> Callable[[Row], bool | None] | None:
    """Return what a row says about an SLO: good, bad, or nothing (None); None for SLOs that rows cannot judge."""
    if slo["kind"] == "availability":
        return lambda row: None if row.reason == NOT_RUNNING else row.reason != SERVED
    if slo["kind"] == "ttft":
        return lambda row: None if row.ttft_s is None else row.ttft_s > slo["at_most_s"]
    return None


def _cumulated(r: Result) -> list[Point]:
    """Return dollars over time, booked when each request ended; thinned to what a screen shows."""
    ended = sorted((min(row.at_s + row.total_s, r.duration_s), row.usd) for row in r.rows)
    if not ended:
        return []
    total = np.cumsum([usd for _, usd in ended])
    picked = sorted({*np.linspace(0, len(ended) - 1, 400).astype(int).tolist(), len(ended) - 1})
    return [(0.0, 0.0), *((ended[i][0] / MINUTE_S, float(total[i])) for i in picked)]


def _shades(r: Result) -> list[Shade]:
    shades = [
        Shade(f["at_s"] / MINUTE_S, (f["at_s"] + f["for_s"]) / MINUTE_S, "fault", f"fault: {f['target']} {f['kind']}")
        for f in r.notes.get("faults", ())
    ]
    shades += [
        Shade(b["at_s"] / MINUTE_S, (b["at_s"] + b["for_s"]) / MINUTE_S, "burst", f"burst: {b['times']:g} times the traffic")
        for b in r.notes.get("bursts", ())
    ]
    return shades + [
        Shade(e["begun_s"] / MINUTE_S, e["ended_s"] / MINUTE_S, "event", f"event: {e['kind']}") for e in r.notes.get("events", ())
    ]


# -- text --------------------------------------------------------------------------------------------------------------


def _summary(r: Result) -> str:
    speed = "" if r.speed == 1 else f", played {r.speed:g} times faster"
    return f"{len(r.rows)} requests in {r.duration_s:g} s{speed}; router: {r.notes.get('router', 'unknown')}."


def _happened(r: Result) -> str:
    marks = {"fault": "fault", "burst": "burst", "event": "event"}
    items = [
        f'<li><i class="{marks[s.style]}"></i>{escape(s.label)}, minute {s.start:.1f} to {s.end:.1f}</li>'
        for s in sorted(_shades(r), key=lambda s: s.start)
    ]
    return f"<ul class='happened'>{''.join(items)}</ul>" if items else ""


def _names(results: Sequence[Result]) -> list[str]:
    classes = sorted({row.klass for r in results for row in r.rows})
    return [
        "requests", "served", "availability", "failed", "failed share", "shed", "not running", "spend (USD)", "budget (USD)",
        "spend / budget", "strong share", *(f"strong share, {c}" for c in classes), "TTFT p50 (s)", "TTFT p90 (s)", "TTFT p99 (s)",
        "total p50 (s)", "total p99 (s)", "prompt tokens", "completion tokens", "attempts per request", "threshold at the end",
        "threshold, total variation", "gateway's account / ours", "sent late p99 (s)", "gateway CPU per request (ms)", "endings",
    ]  # fmt: skip


def _cells(r: Result, names: Sequence[str]) -> list[str]:
    f, notes = r.figures(), r.notes
    ttft, total, lag = f["ttft_s"] or {}, f["total_s"] or {}, notes.get("send_lag_s") or {}
    cpu_s = notes.get("gateway_cpu_s")
    made: dict[str, Any] = {
        "requests": f["requests"],
        "served": f["served"],
        "availability": f["availability"],
        "failed": f["failed"],
        "failed share": f["failed_share"],
        "shed": sum(f["sheds_by_class"].values()),
        "not running": f["not_running"] or None,
        "spend (USD)": f["spend_usd"],
        "budget (USD)": f["budget_usd"],
        "spend / budget": f["spend_over_budget"],
        "strong share": f["strong_share"],
        **{f"strong share, {c}": share for c, share in f["strong_share_by_class"].items()},
        **{f"TTFT {p} (s)": ttft.get(p) for p in ("p50", "p90", "p99")},
        **{f"total {p} (s)": total.get(p) for p in ("p50", "p99")},
        "prompt tokens": f["prompt_tokens"],
        "completion tokens": f["completion_tokens"],
        "attempts per request": f["attempts_per_request"],
        "threshold at the end": f["alpha_ref_end"],
        "threshold, total variation": f["alpha_ref_tv"],
        "gateway's account / ours": notes.get("gateway_over_harness"),
        "sent late p99 (s)": lag.get("p99"),
        "gateway CPU per request (ms)": 1000 * cpu_s / len(r.rows) if cpu_s and r.rows else None,
        "endings": ", ".join(f"{reason} {count}" for reason, count in sorted(f["reasons"].items(), key=lambda kv: -kv[1])),
    }
    return [_cell(made.get(name)) for name in names]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _table(results: Sequence[Result], names: Sequence[str]) -> str:
    rows = _names(results)
    columns = [_cells(r, rows) for r in results]
    body = "".join(
        f"<tr><th>{escape(row)}</th>{''.join(f'<td>{escape(column[i])}</td>' for column in columns)}</tr>"
        for i, row in enumerate(rows)
        if any(column[i] != "-" for column in columns)
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
