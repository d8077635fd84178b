"""Charts: round ticks that cover the data, gaps as gaps, nothing outside the frame."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Line, Shade, figure, has_data, shown, ticks

finite = st.floats(-1e6, 1e6)


def svg_of(chart: Chart) -> ET.Element:
    found = re.search(r"<svg viewBox.*</svg>", figure(chart), re.DOTALL)
    assert found is not None
    return ET.fromstring(found.group())


def numbers(path: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+\.?\d*", path)]


@given(st.floats(0, 1e6), st.floats(1e-6, 1e6))
def test_ticks_cover_the_range_and_are_few(low: float, span: float) -> None:
    made = ticks(low, low + span, 5)
    assert made[0] <= low + 1e-6 * span
    assert made[-1] >= low + span - 1e-6 * span
    assert 2 <= len(made) <= 13


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.25, "0.25"), (1500, "1500"), (0.00012, "0.00012"), (25000, "2.5e+04"), (1, "1")])
def test_numbers_are_shown_short(value: float, text: str) -> None:
    assert shown(value) == text


@given(st.lists(st.tuples(st.floats(0, 60), st.one_of(st.none(), finite)), min_size=1, max_size=20))
def test_no_line_leaves_the_frame(points: list[tuple[float, float | None]]) -> None:
    chart = Chart("t", "x", "y", [Line("l", sorted(points, key=lambda p: p[0]), is_stepped=False)], y_max=5.0, x_end=60.0)
    if not has_data(chart):
        assert "no data" in figure(chart)
        return
    for path in svg_of(chart).iter("path"):
        pairs = re.findall(r"[ML]([\d.]+),([\d.]+)", path.attrib["d"])
        assert all(LEFT - 0.1 <= float(x) <= WIDTH - RIGHT + 0.1 and TOP - 0.1 <= float(y) <= HEIGHT - BOTTOM + 0.1 for x, y in pairs)


def test_no_data_in_between_is_a_gap_and_a_lonely_point_is_seen() -> None:
    chart = Chart("t", "x", "y", [Line("l", [(0, 1.0), (1, None), (2, 1.0), (3, 2.0)])])
    (path,) = svg_of(chart).iter("path")
    assert path.attrib["d"].count("M") == 2
    assert "h2" in path.attrib["d"]


def test_names_are_escaped_and_shades_end_with_the_axis() -> None:
    chart = Chart("<a>", "x & y", "y", [Line("<l>", [(0, 1.0), (10, 2.0)])], [Shade(8, 99, "fault", "<f>")], x_end=10.0)
    rect = next(svg_of(chart).iter("rect"))
    assert float(rect.attrib["x"]) + float(rect.attrib["width"]) == pytest.approx(WIDTH - RIGHT, abs=0.2)
    assert "<a>" not in figure(chart)
