from router_models.experiments import Section
from router_models.report import html, markdown, plot

CURVES = {"mine": [(0.0, 0.0), (1.0, 1.0)]}
SECTION = Section("A <title>", "how", ("router", "APGR"), (("a|b", "0.6"), ("c", "0.5")), CURVES, ("share", "PGR"))


def test_markdown_has_a_row_per_row_and_escapes_bars():
    text = markdown([SECTION], ["made from x"])
    assert "| a\\|b | 0.6 |" in text and "- made from x" in text and text.count("| --- | --- |") == 1


def test_the_page_escapes_text_and_needs_nothing_from_outside():
    page = html([SECTION], ["<script>"])
    assert "A &lt;title&gt;" in page and "<script" not in page and "http" not in page and "<svg" in page


def test_a_plot_spans_its_points():
    picture = plot({"one": [(0.0, 2.0), (4.0, 3.0)]}, ("x", "y"))
    assert 'points="48.0,312.0 592.0,48.0"' in picture and ">one<" in picture
