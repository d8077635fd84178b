"""Line charts as inline SVG: axes with units, shaded times, a legend beside the title; no script, no outside resource.

Colours are CSS classes (`c0`, `c1`, ...; `muted` for what is only compared with), so that the page decides on light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 640, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 10, 40
TICKS_X, TICKS_Y = 8, 5

Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line; a y of None leaves a gap."""

    name: str
    points: Sequence[Point]
    style: str = "c0"
    """CSS class of its colour."""
    dash: str = ""
    """As in SVG's stroke-dasharray."""
    is_stepped: bool = False


@dataclass(frozen=True, slots=True)
class Shade:
    """A span of time in which something was different."""

    start: float
    end: float
    style: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    shades: Sequence[Shade] = ()
    y_max: float | None = None
    """Upper end of the axis; None takes what the data needs. What lies above is cut off at the edge."""
    note: str = ""
    x_end: float | None = field(default=None)


def figure(chart: Chart) -> str:
    """Return one chart as an HTML figure."""
    legend = "".join(_legend(line) for line in chart.lines if line.name)
    note = f'<p class="note">{escape(chart.note)}</p>' if chart.note else ""
    return f'<figure><figcaption><b>{escape(chart.title)}</b><span class="legend">{legend}</span></figcaption>{_svg(chart)}{note}</figure>'


def has_data(chart: Chart) -> bool:
    """Say whether any line has a point."""
    return any(y is not None for line in chart.lines for _, y in line.points)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers from low to high, both ends covered."""
    span = high - low
    if not span > 0:
        return [low, low + 1.0]
    rough = span / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def shown(value: float) -> str:
    """Return a number as an axis shows it."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000 or abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.0f}"


def _legend(line: Line) -> str:
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    sample = f'<svg width="22" height="8"><line x1="0" y1="4" x2="22" y2="4" class="{line.style}"{dash}/></svg>'
    return f"<span>{sample}{escape(line.name)}</span>"


def _svg(chart: Chart) -> str:
    known = [(x, y) for line in chart.lines for x, y in line.points if y is not None]
    if not known:
        return '<p class="note">no data</p>'
    x_end = chart.x_end if chart.x_end is not None else max(x for x, _ in known)
    x_ticks = [t for t in ticks(0.0, x_end, TICKS_X) if t <= x_end * 1.001]
    y_low, y_high = min(0.0, *(y for _, y in known)), chart.y_max or max(y for _, y in known)
    y_ticks = ticks(y_low, y_high if y_high > y_low else y_low + 1.0, TICKS_Y)
    bottom, top = y_ticks[0], y_ticks[-1]
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at_x(x: float) -> float:
        return LEFT + wide * (x / x_end if x_end else 0.0)

    def at_y(y: float) -> float:
        return TOP + high * (1 - (min(max(y, bottom), top) - bottom) / (top - bottom))

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">']
    for shade in chart.shades:
        x, width = at_x(shade.start), max(1.5, at_x(min(shade.end, x_end)) - at_x(shade.start))
        box = f'x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="{high}"'
        parts.append(f'<rect {box} class="{shade.style}"><title>{escape(shade.label)}</title></rect>')
    for tick in y_ticks:
        y = at_y(tick)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{shown(tick)}</text>')
    for tick in x_ticks:
        x = at_x(tick)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP + high}" y2="{TOP + high + 4}" class="axis"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + high + 17}" text-anchor="middle">{shown(tick)}</text>')
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{TOP + high}" y2="{TOP + high}" class="axis"/>')
    middle = TOP + high / 2
    parts.append(f'<text x="{LEFT + wide / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle" class="label">{escape(chart.x_label)}</text>')
    turned = f'x="13" y="{middle:.0f}" transform="rotate(-90 13 {middle:.0f})"'
    parts.append(f'<text {turned} text-anchor="middle" class="label">{escape(chart.y_label)}</text>')
    for line in chart.lines:
        path = _path([(at_x(x), None if y is None else at_y(y)) for x, y in line.points], line.is_stepped)
        dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
        parts.append(f'<path d="{path}" class="{line.style}"{dash}><title>{escape(line.name)}</title></path>')
    return "".join(parts) + "</svg>"


def _path(points: Sequence[Point], is_stepped: bool) -> str:
    """Return a path; a lonely point becomes a short dash, so that it is seen."""
    words, is_open = list[str](), False
    for i, (x, y) in enumerate(points):
        if y is None:
            is_open = False
            continue
        if not is_open:
            is_lonely = i + 1 == len(points) or points[i + 1][1] is None
            words.append(f"M{x:.1f},{y:.1f}" + ("h2" if is_lonely else ""))
        elif is_stepped:
            words.append(f"H{x:.1f}V{y:.1f}")
        else:
            words.append(f"L{x:.1f},{y:.1f}")
        is_open = True
    return "".join(words)
