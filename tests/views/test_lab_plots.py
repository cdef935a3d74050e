import json
import re

import pytest

from qdemo.views import lab_plots
from qdemo.views.colours import ALARM, MARKS
from qdemo.views.plots import for_browser

ERRORS = [(0.2, 0.1, 3.0), (0.6, 0.2, 1.0), (1.0, 0.5, 0.0)]
LINES = {"fp16": ([1e-8, 1.0], [1.0, 1e-3]), "bf16": ([1e-40, 2.0], [0.5, 1e-2])}
FIGURES = {
    "spacing": lambda: lab_plots.spacing(LINES),
    "dots": lambda: lab_plots.dot_errors([10, 100], {"fp16": [0.1, 0.0], "bf16": [0.2, 0.3]}),
    "stairs": lambda: lab_plots.staircase([0.9, 2.2], [1.0, 2.0], [0.0, 1.0, 2.0]),
    "clipping": lambda: lab_plots.clipping(ERRORS, 0.6, 1.0),
    "sizes": lambda: lab_plots.error_sizes({"int8": ([-3.0, -2.9], [0.25, 0.5])}),
    "headroom": lambda: lab_plots.headroom("m", [("b", 7e4), ("a", 8.0)], 65504),
    "training": lambda: lab_plots.training({"fp32": (0, [0.7, 0.1, 0.05]), "int2": (3, [1.5])}),
    "flips": lambda: lab_plots.flips([0, 4, 2]),
}
NAMES = {
    "spacing": ("Range and precision", "size of the number", "step to the next, relative"),
    "dots": ("Error of x · x as the vector grows", "numbers in the vector", "relative error"),
    "stairs": ("What each weight snaps to", "w", "ŵ"),
    "clipping": ("Finer steps against clipped weights", "range kept", "squared error, summed"),
    "sizes": (
        "Size of the errors",
        "|error| / RMS of the weights",
        "weights per tenth of a decade",
    ),
    "headroom": (
        "Headroom: the ten largest layers of m",
        "largest |activation|, and its share of 65,504",
        "",
    ),
    "training": ("Loss while training", "step", "cross entropy, nats"),
    "flips": ("Integers that flip", "step through the rounding", "integers"),
}


def drawn(figure):
    return {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_and_named_axes(name):
    layout = FIGURES[name]().layout
    assert (layout.title.text, layout.xaxis.title.text, layout.yaxis.title.text) == NAMES[name]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_drawn_by_a_browser(name):
    read = json.loads(for_browser(FIGURES[name]()), parse_constant=pytest.fail)
    assert read["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert all(trace["name"] for trace in read["data"])


@pytest.mark.parametrize(
    "figure",
    [
        lab_plots.spacing({}),
        lab_plots.dot_errors([], {}),
        lab_plots.staircase([], [], []),
        lab_plots.staircase([1.0], [1.0], [1.0]),
        lab_plots.clipping([], 1.0, 1.0),
        lab_plots.error_sizes({}),
        lab_plots.training({}),
        lab_plots.training({"fp32": (0, [])}),
        lab_plots.flips([]),
        lab_plots.headroom("m", [], 65504),
    ],
)
def test_every_figure_stands_for_nothing_yet(figure):
    assert for_browser(figure)


def test_the_spacing_is_drawn_on_two_log_axes():
    figure = FIGURES["spacing"]()
    assert drawn(figure) == {name: (list(x), list(y)) for name, (x, y) in LINES.items()}
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
    assert figure.layout.yaxis.autorange == "reversed"


def test_lines_differ_in_colour_and_in_dash():
    lines = FIGURES["spacing"]().data
    assert len({line.line.color for line in lines}) == len(lines)
    assert len({line.line.dash for line in lines}) == len(lines)


def test_an_error_of_nothing_is_drawn_at_the_floor():
    figure = FIGURES["dots"]()
    assert drawn(figure) == {"fp16": ([10, 100], [0.1, 1e-9]), "bf16": ([10, 100], [0.2, 0.3])}
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")


def test_each_weight_stands_beside_its_level():
    found = drawn(FIGURES["stairs"]())
    assert found["these weights"] == ([0.9, 2.2], [1.0, 2.0])
    x, y = found["every number"]
    assert y == [0, 0, 1, 1, 2, 2]
    assert x == [-2.5, 0.5, 0.5, 1.5, 1.5, 4.5]


def test_both_parts_of_the_error_are_stacked():
    figure = FIGURES["clipping"]()
    assert drawn(figure) == {
        "rounding": ([0.2, 0.6, 1.0], [0.1, 0.2, 0.5]),
        "clipping": ([0.2, 0.6, 1.0], [3.0, 1.0, 0.0]),
    }
    assert {trace.stackgroup for trace in figure.data} == {"error"}
    assert figure.layout.xaxis.tickformat == ".0%"


@pytest.mark.parametrize(
    ("chosen", "best", "marks"),
    [
        (0.6, 1.0, {0.6: "chosen", 1.0: "least error"}),
        (0.6, 0.6, {0.6: "chosen, and least error"}),
    ],
)
def test_the_chosen_and_the_best_are_marked(chosen, best, marks):
    layout = lab_plots.clipping(ERRORS, chosen, best).layout
    assert [line.x0 for line in layout.shapes] == list(marks)
    assert [note.text for note in layout.annotations] == list(marks.values())


def test_the_sizes_are_stairs_over_decades():
    figure = FIGURES["sizes"]()
    assert drawn(figure) == {"int8": ([-3.0, -2.9], [0.25, 0.5])}
    assert figure.data[0].line.shape == "hv"
    ticks = dict(zip(figure.layout.xaxis.tickvals, figure.layout.xaxis.ticktext, strict=True))
    assert ticks[-2] == "10⁻²"


def test_the_losses_are_drawn_step_by_step():
    figure = FIGURES["training"]()
    assert drawn(figure) == {"fp32": ([0, 1, 2], [0.7, 0.1, 0.05]), "int2": ([3], [1.5])}
    assert figure.layout.yaxis.type == "log"


def test_names_stand_in_the_order_of_what_they_name():
    fp32, low = FIGURES["training"]().data
    assert fp32.legendrank > (low.legendrank or 1000)  # its line ends lowest
    found = {"late": ([-3.0, -2.0], [0.1, 0.9]), "early": ([-3.0, -2.0], [0.9, 0.1])}
    assert list(drawn(lab_plots.error_sizes(found))) == ["early", "late"]
    assert FIGURES["dots"]().layout.legend.traceorder == "reversed"  # from above


def test_the_flips_are_bars_counted_from_one():
    figure = FIGURES["flips"]()
    assert drawn(figure) == {"integers that changed": ([1, 2, 3], [0, 4, 2])}
    assert figure.data[0].type == "bar"


def test_headroom_is_a_bar_a_layer_and_what_overflows_is_in_alarm():
    figure = FIGURES["headroom"]()
    (bars,) = figure.data
    assert list(bars.x) == [7e4, 8.0]
    assert list(bars.marker.color) == [ALARM, MARKS[0]]
    assert list(bars.text) == ["70,000 (106.86%)", "8.00 (0.01%)"]
    assert figure.layout.xaxis.type == "log"
    low, high = figure.layout.xaxis.range
    assert 10**low < 8.0 < 7e4 < 10**high
    assert {shape.x0 for shape in figure.layout.shapes} == {65504}
    named = {note.y: note.text for note in figure.layout.annotations}
    assert [named[y + 0.2] for y in bars.y] == ["b", "a"]


@pytest.mark.parametrize("name", ["spacing", "dots", "headroom", "training"])
def test_a_log_axis_names_powers_of_ten_only(name):
    layout = FIGURES[name]().layout
    logs = [axis for axis in (layout.xaxis, layout.yaxis) if axis.type == "log"]
    assert logs
    assert all(re.fullmatch("10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", text) for axis in logs for text in axis.ticktext)


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_of_a_chart_is_small(name):
    plain = FIGURES[name]().to_plotly_json()
    assert min(sizes(plain)) >= 14


def sizes(plain):
    """Of every font in a figure."""
    for key, value in plain.items():
        if isinstance(value, dict):
            if "font" in key and "size" in value:
                yield value["size"]
            yield from sizes(value)
        elif isinstance(value, (list, tuple)):
            yield from (size for one in value if isinstance(one, dict) for size in sizes(one))
