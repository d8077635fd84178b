"""Writes the experiments' outcome as Markdown and as one HTML page with curves; no script, no network, nothing to install."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from router_models.experiments import Section
from router_models.frontier import Point
from router_models.verdict import verdict

COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#444444", "#16a0a0")
GOALS = ("row", "what", "must", "aim", "measured", "verdict")
WIDTH, HEIGHT, MARGIN = 640, 360, 48
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{vertical-align:top;padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:left}"
    "svg{max-width:100%;height:auto}.how{color:#555}"
)


def markdown(sections: Sequence[Section], made_from: Sequence[str]) -> str:
    """Return all tables as Markdown."""
    parts = ["# Router report", "", *(f"- {line}" for line in made_from), ""]
    if checks := _checks(sections):
        parts += ["## Goals", "", _row(GOALS), _row(["---"] * len(GOALS)), *map(_row, checks), ""]
    for section in sections:
        parts += [f"## {section.title}", "", section.how + ".", "", _row(section.header), _row(["---"] * len(section.header))]
        parts += [*(_row(row) for row in section.rows), ""]
    return "\n".join(parts)


def _checks(sections: Sequence[Section]) -> list[tuple[str, ...]]:
    checks = sorted((check for section in sections for check in section.checks), key=lambda check: check.row)
    return [(str(c.row), c.what, c.must, c.aim, c.measured, verdict(c)) for c in checks]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def html(sections: Sequence[Section], made_from: Sequence[str]) -> str:
    """Return all tables and curves as one page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Router report</title>",
        f"<style>{STYLE}</style><h1>Router report</h1><ul>",
    ]
    parts += [f"<li>{escape(line)}</li>" for line in made_from] + ["</ul>"]
    if checks := _checks(sections):
        parts += ["<h2>Goals</h2><table><tr>", *(f"<th>{escape(cell)}</th>" for cell in GOALS), "</tr>"]
        parts += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in checks] + ["</table>"]
    for section in sections:
        parts += [f"<h2>{escape(section.title)}</h2><p class=how>{escape(section.how)}.</p><table><tr>"]
        parts += [f"<th>{escape(cell)}</th>" for cell in section.header] + ["</tr>"]
        parts += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in section.rows] + ["</table>"]
        if section.curves:
            parts.append(plot(section.curves, section.axes))
    return "\n".join(parts) + "</html>\n"


def plot(curves: Mapping[str, Sequence[Point]], axes: tuple[str, str]) -> str:
    """Return curves as an SVG with a legend; x and y span all points."""
    points = [point for curve in curves.values() for point in curve]
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = min(y for _, y in points), max(y for _, y in points)
    x_span, y_span = (x_high - x_low) or 1.0, (y_high - y_low) or 1.0

    def place(point: Point) -> str:
        x = MARGIN + (point[0] - x_low) / x_span * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - (point[1] - y_low) / y_span * (HEIGHT - 2 * MARGIN)
        return f"{x:.1f},{y:.1f}"

    frame = f'<path d="M{MARGIN},{MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="#888"/>'
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(axes[1])} over {escape(axes[0])}">', frame]
    for i, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        line = " ".join(place(p) for p in sorted(curve))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{WIDTH - MARGIN - 200}" y="{HEIGHT - MARGIN - 12 - 16 * i}" fill="{colour}" font-size="12">{escape(name)}</text>'
        )
    labels = [
        (MARGIN, HEIGHT - 28, f"{x_low:.3g}"),
        (WIDTH - MARGIN - 20, HEIGHT - 28, f"{x_high:.3g}"),
        (WIDTH // 2 - 40, HEIGHT - 10, axes[0]),
        (4, MARGIN - 10, axes[1]),
        (4, MARGIN + 6, f"{y_high:.3g}"),
        (4, HEIGHT - MARGIN, f"{y_low:.3g}"),
    ]
    parts += [f'<text x="{x}" y="{y}" font-size="12">{escape(text)}</text>' for x, y, text in labels]
    return "".join(parts) + "</svg>"
