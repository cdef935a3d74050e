import json
from dataclasses import replace

import pytest

from qdemo.spec.report import WHOLE_MODEL
from qdemo.views import plots
from qdemo.views.colours import colours
from tests.views.documents import compared, overflowing, without_reference

FIGURES = {
    "memory": plots.memory,
    "logits": plots.logits,
    "weights": lambda report: plots.weights(report, WHOLE_MODEL),
    "map": plots.sqnr_map,
}
UNITS = {
    "memory": ("MB", ""),
    "logits": ("token", "nats"),
    "weights": ("RMS of the weights", "weights per tenth"),
    "map": ("matrices", ""),
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


def histograms(report, parameter):
    """The traces of the upper panel, and those of the lower one."""
    traces = plots.weights(report, parameter).data
    lower = [trace for trace in traces if trace.xaxis == "x2"]
    return [trace for trace in traces if trace not in lower], lower


def test_the_bars_of_a_format_add_up_to_its_bytes(report):
    figure = plots.memory(report)
    assert figure.layout.barmode == "stack"
    for trial in report.results:
        lengths = [bar.x[list(bar.y).index(trial.format)] for bar in figure.data]
        assert sum(lengths) * 1e6 == pytest.approx(trial.footprint.total, rel=1e-12)


def test_fp32_is_the_bar_at_the_top(report):
    for bar in plots.memory(report).data:
        assert list(bar.y)[::-1] == [trial.format for trial in report.results]


def test_each_kind_of_bytes_has_its_colour_and_pattern(report):
    bars = plots.memory(report).data
    assert {bar.name for bar in bars} == {
        "quantized weights",
        "scales and zero points",
        "float weights",
    }
    looks = {(bar.marker.color, bar.marker.pattern.shape) for bar in bars}
    assert len(looks) == len({colour for colour, _ in looks}) == len(bars)


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
def test_both_histograms_count_every_weight_that_is_not_exact(report, parameter):
    for trial, size, error in zip(report.variants, *histograms(report, parameter), strict=True):
        told = trial.weights[parameter]
        wanted = told.numel - told.exact
        assert size.name == error.name == trial.format
        assert sum(counted(size)) == wanted
        per_width = 1000 * told.histogram.bin_width
        assert sum(counted(error)) * per_width == pytest.approx(wanted, rel=1e-3)


def test_the_largest_error_is_in_the_outermost_bin(report):
    for trial, line in zip(report.variants, histograms(report, "1.weight")[1], strict=True):
        width = trial.weights["1.weight"].histogram.bin_width
        assert line.dx == width
        largest = max(-line.x0, line.x0 + width * (len(line.y) - 1))
        assert largest - width <= trial.weights["1.weight"].figures["max_abs"] <= largest


def test_an_infinite_error_is_in_no_bin():
    report = overflowing(("fp16",))
    error = report.results[1].weights["0.weight"]
    line = histograms(report, "0.weight")[0][0]
    assert error.figures["overflowed"] == 1
    assert sum(counted(line)) == error.numel - error.exact - 1


def test_a_parameter_that_a_format_lacks_is_not_drawn(report):
    assert len(plots.weights(report, "no.such").data) == 0


def test_a_name_in_the_legend_shows_and_hides_both_histograms(report):
    upper, lower = histograms(report, WHOLE_MODEL)
    for above, below in zip(upper, lower, strict=True):
        assert above.name == below.name == above.legendgroup == below.legendgroup
        assert above.showlegend is not False
        assert below.showlegend is False


def test_the_lower_histogram_has_its_own_title_and_units(report):
    layout = plots.weights(report, WHOLE_MODEL).layout
    assert [note.text for note in layout.annotations] == ["Errors around zero"]
    assert "unit of the weights" in layout.xaxis2.title.text
    assert "weights per 0.001" in layout.yaxis2.title.text
    assert layout.yaxis2.type == "log"


def test_the_map_has_the_decibels_of_each_matrix(report):
    figure = plots.sqnr_map(report).data[0]
    assert list(figure.x) == report.matrices == ["0.weight", "1.weight"]
    for format, row in zip(figure.y, figure.z, strict=True):
        trial = next(trial for trial in report.variants if trial.format == format)
        told = [trial.weights[name].figures["sqnr_db"] for name in figure.x]
        assert [*row] == [one if one is None else round(one, 1) for one in told]
    assert list(figure.y)[::-1] == [trial.format for trial in report.variants]


def test_every_figure_has_a_title_and_units(report, name):
    layout = FIGURES[name](report).layout
    x, y = UNITS[name]
    assert layout.title.text
    assert x in layout.xaxis.title.text
    assert y in layout.yaxis.title.text


def test_the_unit_of_the_map_is_told():
    bar = plots.sqnr_map(compared(("int8",))).data[0].colorbar
    assert bar.title.text == "dB"


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
    shown = colours(report.formats)
    assert [line.line.color for line in lines] == [shown[line.name] for line in lines]
    assert len({line.line.dash for line in lines}) == len(lines)


def test_a_format_keeps_its_colour_where_another_failed(report):
    shown = colours(report.formats)
    assert tuple(shown) == report.formats
    assert all(line.line.color == shown[line.name] for line in plots.logits(report).data)


def test_on_a_page_a_figure_brings_no_script_of_its_own(report):
    html = plots.for_page(plots.memory(report))
    assert "src=" not in html
    assert len(html) < 20_000
    assert "Plotly.newPlot" in html


def test_the_parameters_begin_with_the_whole_model(report):
    assert report.parameters == [WHOLE_MODEL, "0.weight", "1.weight", "1.bias"]
    assert without_reference().parameters == without_reference().matrices == []
