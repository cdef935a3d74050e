import json
import math
from dataclasses import replace

import pytest

from qdemo.spec.cache import Cache, Layers
from qdemo.spec.report import WHOLE_MODEL
from qdemo.views import plots
from qdemo.views.colours import INK, colour
from qdemo.views.numbers import megabytes
from tests.views.documents import compared, overflowing, without_reference

FIGURES = {
    "memory": plots.memory,
    "logits": plots.logits,
    "weights": lambda report: plots.weights(report, WHOLE_MODEL),
}
UNITS = {
    "memory": ("MB", ""),
    "logits": ("token", "nats"),
    "weights": ("RMS of the weights", "weights per tenth"),
}


@pytest.fixture(scope="module")
def report():
    return compared()


@pytest.fixture(scope="module", params=FIGURES)
def name(request):
    return request.param


def counted(trace):
    """The counts of a stair, whose last one is drawn twice so that its bin has a width."""
    if not trace.y:
        return []
    assert trace.y[-1] == trace.y[-2]
    assert trace.dx > 0
    return [count or 0 for count in trace.y[:-1]]


def test_the_bars_of_a_format_add_up_to_its_bytes(report):
    figure = plots.memory(report)
    assert figure.layout.barmode == "stack"
    for trial in report.results:
        lengths = [bar.x[list(bar.y).index(trial.format)] for bar in figure.data]
        assert sum(lengths) * 1e6 == pytest.approx(trial.footprint.total, rel=1e-12)


def test_fp32_is_the_bar_at_the_top(report):
    for bar in plots.memory(report).data:
        assert list(bar.y)[::-1] == [trial.format for trial in report.results]


def test_the_total_of_a_format_stands_at_the_end_of_its_bar(report):
    notes = {note.y: note for note in plots.memory(report).layout.annotations}
    for trial in report.results:
        assert notes[trial.format].x * 1e6 == pytest.approx(trial.footprint.total)
        assert notes[trial.format].text == megabytes(trial.footprint.total)


def test_each_kind_of_bytes_has_its_hatching_and_no_formats_colour(report):
    bars = plots.memory(report).data
    assert {bar.name for bar in bars} == {
        "quantized weights",
        "scales and zero points",
        "float weights",
    }
    assert len({bar.marker.pattern.shape for bar in bars}) == len(bars)
    assert {bar.marker.color for bar in bars} == {INK}
    assert INK not in map(colour, report.formats)
    assert plots.memory(report).layout.legend.traceorder == "normal"  # as they are stacked


def test_a_language_model_s_cache_is_a_kind_of_bytes_of_its_own(report):
    cached = replace(report, cache=Cache.of((Layers(2, numbers=100),), 1000))
    figure = plots.memory(cached)
    bar = next(bar for bar in figure.data if bar.name == "cache")
    sizes = {one: 400_000 if one.endswith(("fp16", "bf16")) else 800_000 for one in bar.y}
    assert list(bar.x) == [size / 1e6 for size in sizes.values()]
    assert len({bar.marker.pattern.shape for bar in figure.data}) == len(figure.data) == 4
    notes = {note.y: note.x for note in figure.layout.annotations}
    for trial in report.results:
        size = trial.footprint.total + sizes[trial.format]
        assert notes[trial.format] * 1e6 == pytest.approx(size)
    assert "cache" not in {bar.name for bar in plots.memory(report).data}


def test_the_divergence_is_drawn_at_each_token(report):
    lines = {line.name: line for line in plots.logits(report).data}
    assert list(lines) == [trial.format for trial in report.variants]
    for trial in report.variants:
        line = lines[trial.format]
        assert (line.x0, line.dx, len(line.y)) == (1, None, 5)  # and one by one from there
        told = [max(kl, 1e-12) for kl in trial.by_position["kl_by_position"]]
        assert list(line.y) == pytest.approx(told, rel=1e-3)


def test_a_divergence_of_nothing_is_drawn_at_the_floor_and_told_as_zero():
    report = compared(("bf16",))
    fp32, bf16 = report.results
    quiet = replace(bf16, by_position={"kl_by_position": (0.0, 1e-20, None, 0.5, 0.0)})
    figure = plots.logits(replace(report, results=(fp32, quiet)))
    assert figure.layout.yaxis.type == "log"
    assert list(figure.data[0].y) == [1e-12, 1e-12, None, 0.5, 1e-12]
    assert [shown for _, shown in figure.data[0].customdata] == ["0", "1.00e-20", "–", "0.500", "0"]


@pytest.mark.parametrize("parameter", [WHOLE_MODEL, "0.weight", "1.weight", "1.bias"])
def test_the_histogram_counts_every_weight_that_is_not_exact(report, parameter):
    lines = plots.weights(report, parameter).data
    for trial, line in zip(report.variants, lines, strict=True):
        told = trial.weights[parameter]
        assert line.name == trial.format
        assert sum(counted(line)) == told.numel - told.exact


def test_an_infinite_error_is_in_no_bin():
    report = overflowing(("fp16",))
    error = report.results[1].weights["0.weight"]
    line = plots.weights(report, "0.weight").data[0]
    assert error.figures["overflowed"] == 1
    assert sum(counted(line)) == error.numel - error.exact - 1


def test_a_parameter_that_a_format_lacks_is_not_drawn(report):
    assert len(plots.weights(report, "no.such").data) == 0


def test_a_log_axis_has_powers_of_ten_alone(report):
    axis = plots.logits(report).layout.yaxis
    assert [f"{at:e}".partition("e")[0] for at in axis.tickvals] == len(axis.tickvals) * [
        "1.000000"
    ]
    low, high = axis.range
    drawn = [kl for line in plots.logits(report).data for kl in line.y if kl]
    assert low <= math.log10(min(drawn)) <= math.log10(max(drawn)) <= high


def test_every_figure_has_a_title_and_units(report, name):
    layout = FIGURES[name](report).layout
    x, y = UNITS[name]
    assert layout.title.text
    assert x in layout.xaxis.title.text
    assert y in layout.yaxis.title.text


def test_every_figure_can_be_drawn_by_a_browser(report, name):
    text = plots.for_browser(FIGURES[name](report))
    read = json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    assert read["config"]["displayModeBar"] is False
    assert read["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"  # light or dark shows through
    assert len(read["data"]) == len(FIGURES[name](report).data)


@pytest.mark.parametrize("make", [overflowing, without_reference, lambda: compared(())])
def test_every_figure_stands_for_unusual_documents(make, name):
    report = make()
    assert plots.for_browser(FIGURES[name](report))


def test_formats_differ_in_colour_and_in_dash(report):
    lines = plots.logits(report).data
    assert [line.line.color for line in lines] == [colour(line.name) for line in lines]
    assert len({line.line.dash for line in lines}) == len(lines)


def test_a_format_keeps_its_colour_where_another_failed(report):
    assert {line.name for line in plots.logits(report).data} < set(report.formats)
    assert all(line.line.color == colour(line.name) for line in plots.logits(report).data)


def test_the_parameters_begin_with_the_whole_model(report):
    assert report.parameters == [WHOLE_MODEL, "0.weight", "1.weight", "1.bias"]
    assert without_reference().parameters == without_reference().matrices == []


def test_each_kind_of_bytes_leaves_the_bars_their_room(report):
    """On a phone the legend has a line for each."""
    heights = []
    for cache in (None, Cache.of((Layers(2, numbers=100),), 1000)):
        figure = plots.memory(replace(report, cache=cache))
        heights.append((len(figure.data), figure.layout.height))
    (few, low), (many, high) = heights
    assert many == few + 1
    assert high - low == (40 if many > 3 else 0)
