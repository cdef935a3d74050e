import json
import re

import pytest

from qdemo.views import method_bars, method_plots, methods
from qdemo.views.colours import MARKS, of_line
from qdemo.views.plots import for_browser

LEVELS = [-1.0, -0.5, 0.0, 0.5, 1.0]
FIGURES = {
    "levels": (
        lambda: method_plots.levels_over("nf4", LEVELS, [-0.5, 0.5], [0.4, 0.6]),
        ("The 5 levels of nf4 over the weights", "w / absmax of its block", "share of the weights"),
    ),
    "snapping": (
        lambda: method_plots.snapping("nf4", LEVELS, [0.4, -0.9], [0.5, -1.0]),
        ("The first block snaps to levels", "w / absmax of its block", ""),
    ),
    "scales": (
        lambda: method_plots.held_scales({"mxfp4": [1.4, 0.8], "nvfp4": [1.01, 0.99]}),
        ("Held scales beside wanted ones", "block", "held / wanted"),
    ),
    "search": (
        lambda: method_plots.search([1.0, 0.5], [4.0, 1.0], [2.0, 3.0], 0.5),
        (
            "Forty ranges, and the one with the least error",
            "part of the range kept",
            "error, 100%: the whole range",
        ),
    ),
    "zero points": (
        lambda: method_plots.zero_points([[0, 0.1], [0, 0.1001], [0, -0.5]]),
        ("The zero point of each row moves", "step", "moved, in steps of the scale"),
    ),
    "falling": (
        lambda: method_plots.falling([2.0, 1.0], [3.0, 2.0]),
        ("And the error falls", "step", "error, 100%: before"),
    ),
    "walk": (
        lambda: method_plots.walk([0, 0.1, 0.2], [0, 0.2, 0.3], 1),
        ("The error of the outputs", "columns rounded", "‖X(Ŵ − W)ᵀ‖ / ‖XWᵀ‖"),
    ),
    "super-block": (
        lambda: method_plots.super_block("q4_k", [[0.1], [0.2]], [[0.1], [0.3]], [[0, 1], [0, 2]]),
        ("Each block has levels of its own", "block", "weight"),
    ),
    "sizes": (
        lambda: method_bars.sizes(([1.0, 20.0], [2.0, 9.0]), ([0.5, 0.1], [0.2, 0.3])),
        ("The largest size in each column", "column", "max |x|"),
    ),
    "row": (
        lambda: method_bars.row([1.0, -20.0], [2.0, 9.0]),
        ("The row with the largest weight", "column", "weight"),
    ),
    "over": (
        lambda: method_bars.over("Error over α", ("α", [0, 1]), [0.2, 0.1], ("without", 0.3), 1),
        ("Error over α", "α", "error of the outputs"),
    ),
    "outliers": (
        lambda: method_bars.outliers([1.0, 60.0], [False, True], 6.0),
        ("The largest input of each column", "column", "max |x|"),
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_and_named_axes(name):
    draw, titles = FIGURES[name]
    layout = draw().layout
    assert (layout.title.text, layout.xaxis.title.text, layout.yaxis.title.text) == titles


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_drawn_by_a_browser(name):
    read = json.loads(for_browser(FIGURES[name][0]()), parse_constant=pytest.fail)
    assert read["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert all(trace["name"] for trace in read["data"])


def test_a_level_is_a_line_in_the_colour_of_its_grid():
    figure = FIGURES["levels"][0]()
    assert [shape.x0 for shape in figure.layout.shapes] == LEVELS
    assert {shape.line.color for shape in figure.layout.shapes} == {of_line("nf4")}


def test_each_weight_has_a_line_to_its_level():
    ways = FIGURES["snapping"][0]().data[0]
    assert list(ways.x) == [0.4, 0.5, None, -0.9, -1, None]
    assert list(ways.y) == [1, 0, None] * 2


def test_errors_are_shown_beside_the_first():
    powers, squares = FIGURES["search"][0]().data
    assert (list(powers.y), list(squares.y)) == ([1, 0.25], [1, 1.5])
    nothing = method_plots.search([1.0, 0.5], [0.0, 0.0], [0.0, 0.0], 1.0)
    assert list(nothing.data[0].y) == [None, None]


def test_rows_that_end_near_each_other_are_named_once():
    notes = [note.text for note in FIGURES["zero points"][0]().layout.annotations]
    assert notes == ["row 3", "row 1"]


def test_outliers_are_set_apart_and_reach_the_threshold():
    figure = FIGURES["outliers"][0]()
    kept, floats = figure.data
    assert (list(kept.x), list(floats.x)) == ([1], [2])
    assert kept.marker.color == MARKS[0] != floats.marker.color
    assert figure.layout.shapes[0].y0 == 6


def test_inputs_stand_above_weights():
    figure = FIGURES["sizes"][0]()
    assert [(bars.name, bars.yaxis) for bars in figure.data] == [
        ("before", None), ("after", None), ("before", "y2"), ("after", "y2"),
    ]  # fmt: skip
    assert figure.layout.yaxis2.title.text == "max |w|"
    assert figure.layout.yaxis.domain[0] > figure.layout.yaxis2.domain[1]


def cells(html):
    return re.findall(r'<td class="([^"]*)">([^<]*)</td>', html)


def test_numbers_are_tinted_by_size_and_marked_by_column():
    shown = methods.matrix("W", [[0.5, -1.0, 0.0]], marks=["done", "now", ""])
    found = cells(methods.numbers_html(shown))
    assert found == [("tint2 done", "+0.50"), ("tint-3 now", "−1.00"), ("tint0", "0")]


def test_what_is_left_out_is_empty():
    shown = methods.matrix("W", [[0.5, -1.0, 0.25]], names=["w"], skip=2)
    html = methods.numbers_html(shown)
    assert [text for _, text in cells(html)] == ["", "", "+0.25"]
    assert '<th scope="row">w</th>' in html


def test_a_title_is_text():
    assert "&lt;b&gt;" in methods.numbers_html(methods.matrix("<b>", [[1.0]]))


def test_bytes_are_as_wide_as_they_are_many():
    html = methods.bytes_html("What is held", [(2, "d"), (128, "integers")], "130 bytes")
    assert re.findall(r"--size: (\d+)", html) == ["2", "128"]
    assert "130 bytes" in html


def test_sentences_explain_their_terms():
    html = methods.said_html("GPTQ lowers SQNR.", "<i>")
    assert re.findall(r'data-term="(\w+)"', html) == ["gptq", "sqnr"]
    assert "&lt;i&gt;" in html


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (methods.grids_table([("nf4", 16, 4.5, 0.01, None)]), 5),
        (methods.walk_table(3, (0.05, 19.0), (0.1, None)), 3),
        (methods.sides_table("int4", (1.0, 0.1, 0.2), (0.5, 0.05, 0.1)), 4),
        (methods.scales_table([[""] * 9]), 9),
        (methods.super_table([[""] * 8]), 8),
    ],
)
def test_every_row_has_a_cell_for_each_column(table, columns):
    assert len(table.head) == columns
    assert all(len(row) == columns for row in table.rows)
