import json

import pytest

from qdemo.document import WHOLE_MODEL, matrices, parameters, variants
from qdemo.request import MAX_FORMATS
from qdemo.views import plots
from tests.views.documents import compared, overflowing, without_reference

FIGURES = {
    "memory": plots.memory,
    "logits": plots.logits,
    "weights": lambda document: plots.weights(document, WHOLE_MODEL),
    "map": plots.sqnr_map,
}
UNITS = {
    "memory": ("MB", ""),
    "logits": ("token", "nats"),
    "weights": ("RMS of the weights", "weights per tenth"),
    "map": ("matrices", ""),
}


@pytest.fixture(scope="module")
def document():
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


def histograms(document, parameter):
    """The traces of the upper panel, and those of the lower one."""
    traces = plots.weights(document, parameter).data
    lower = [trace for trace in traces if trace.xaxis == "x2"]
    return [trace for trace in traces if trace not in lower], lower


def test_the_bars_of_a_format_add_up_to_its_bytes(document):
    figure = plots.memory(document)
    assert figure.layout.barmode == "stack"
    for result in document["results"]:
        lengths = [bar.x[list(bar.y).index(result["format"])] for bar in figure.data]
        assert sum(lengths) * 1e6 == pytest.approx(result["bytes"], rel=1e-12)


def test_fp32_is_the_bar_at_the_top(document):
    for bar in plots.memory(document).data:
        assert list(bar.y)[::-1] == [result["format"] for result in document["results"]]


def test_each_kind_of_bytes_has_its_colour_and_pattern(document):
    bars = plots.memory(document).data
    assert {bar.name for bar in bars} == {
        "quantized weights",
        "scales and zero points",
        "float weights",
    }
    looks = {(bar.marker.color, bar.marker.pattern.shape) for bar in bars}
    assert len(looks) == len({colour for colour, _ in looks}) == len(bars)


def test_the_divergence_is_drawn_at_each_token(document):
    lines = {line.name: line for line in plots.logits(document).data}
    assert list(lines) == [result["format"] for result in variants(document)]
    for result in variants(document):
        line = lines[result["format"]]
        assert list(line.x) == [1, 2, 3, 4, 5]
        assert list(line.y) == [max(kl, 1e-12) for kl in result["kl_by_position"]]


def test_a_divergence_of_nothing_is_drawn_at_the_floor_and_told_as_zero():
    document = compared(("bf16",))
    quiet = document["results"][1] | {"kl_by_position": [0.0, 1e-20, None, 0.5, 0.0]}
    figure = plots.logits({**document, "results": [document["results"][0], quiet]})
    assert figure.layout.yaxis.type == "log"
    assert list(figure.data[0].y) == [1e-12, 1e-12, None, 0.5, 1e-12]
    assert [shown for _, shown in figure.data[0].customdata] == ["0", "1.00e-20", "–", "0.500", "0"]


@pytest.mark.parametrize("parameter", [WHOLE_MODEL, "0.weight", "1.weight", "1.bias"])
def test_both_histograms_count_every_weight_that_is_not_exact(document, parameter):
    for result, size, error in zip(
        variants(document), *histograms(document, parameter), strict=True
    ):
        wanted = result["weights"][parameter]["numel"] - result["weights"][parameter]["exact"]
        assert size.name == error.name == result["format"]
        assert sum(counted(size)) == wanted
        per_width = 1000 * result["weights"][parameter]["histogram"]["bin_width"]
        assert sum(counted(error)) * per_width == pytest.approx(wanted)


def test_the_largest_error_is_in_the_outermost_bin(document):
    for result, line in zip(variants(document), histograms(document, "1.weight")[1], strict=True):
        width = result["weights"]["1.weight"]["histogram"]["bin_width"]
        assert line.dx == width
        largest = max(-line.x0, line.x0 + width * (len(line.y) - 1))
        assert largest - width <= result["weights"]["1.weight"]["max_abs"] <= largest


def test_an_infinite_error_is_in_no_bin():
    document = overflowing(("fp16",))
    error = document["results"][1]["weights"]["0.weight"]
    line = histograms(document, "0.weight")[0][0]
    assert error["overflowed"] == 1
    assert sum(counted(line)) == error["numel"] - error["exact"] - 1


def test_a_parameter_that_a_format_lacks_is_not_drawn(document):
    assert len(plots.weights(document, "no.such").data) == 0


def test_a_name_in_the_legend_shows_and_hides_both_histograms(document):
    upper, lower = histograms(document, WHOLE_MODEL)
    for above, below in zip(upper, lower, strict=True):
        assert above.name == below.name == above.legendgroup == below.legendgroup
        assert above.showlegend is not False
        assert below.showlegend is False


def test_the_lower_histogram_has_its_own_title_and_units(document):
    layout = plots.weights(document, WHOLE_MODEL).layout
    assert [note.text for note in layout.annotations] == ["Errors around zero"]
    assert "unit of the weights" in layout.xaxis2.title.text
    assert "weights per 0.001" in layout.yaxis2.title.text
    assert layout.yaxis2.type == "log"


def test_the_map_has_the_decibels_of_each_matrix(document):
    figure = plots.sqnr_map(document).data[0]
    assert list(figure.x) == matrices(document) == ["0.weight", "1.weight"]
    for format, row in zip(figure.y, figure.z, strict=True):
        result = next(r for r in variants(document) if r["format"] == format)
        assert list(row) == [result["weights"][name]["sqnr_db"] for name in figure.x]
    assert list(figure.y)[::-1] == [result["format"] for result in variants(document)]


def test_every_figure_has_a_title_and_units(document, name):
    layout = FIGURES[name](document).layout
    x, y = UNITS[name]
    assert layout.title.text
    assert x in layout.xaxis.title.text
    assert y in layout.yaxis.title.text


def test_the_unit_of_the_map_is_told():
    bar = plots.sqnr_map(compared(("int8",))).data[0].colorbar
    assert bar.title.text == "dB"


def test_every_figure_can_be_drawn_by_a_browser(document, name):
    text = plots.for_browser(FIGURES[name](document))
    read = json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    assert read["config"]["displayModeBar"] is False
    assert read["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"  # light or dark shows through
    assert len(read["data"]) == len(FIGURES[name](document).data)


@pytest.mark.parametrize("make", [overflowing, without_reference, lambda: compared(())])
def test_every_figure_stands_for_unusual_documents(make, name):
    document = make()
    assert plots.for_browser(FIGURES[name](document))


def test_formats_differ_in_colour_and_in_dash(document):
    lines = plots.logits(document).data
    shown = plots.colours(document)
    assert [line.line.color for line in lines] == [shown[line.name] for line in lines]
    assert len({line.line.dash for line in lines}) == len(lines)


def test_as_many_colours_as_there_can_be_formats():
    formats = ["fp32", *(f"int{i}" for i in range(MAX_FORMATS))]
    colours = plots.colours({"formats": formats})
    assert list(colours) == formats
    assert len(set(colours.values())) == len(formats)


def test_a_format_keeps_its_colour_where_another_failed(document):
    shown = plots.colours(document)
    assert list(shown) == document["formats"]
    assert all(line.line.color == shown[line.name] for line in plots.logits(document).data)


def test_on_a_page_a_figure_brings_no_script_of_its_own(document):
    html = plots.for_page(plots.memory(document))
    assert "src=" not in html
    assert len(html) < 20_000
    assert "Plotly.newPlot" in html


def test_the_parameters_begin_with_the_whole_model(document):
    assert parameters(document) == [WHOLE_MODEL, "0.weight", "1.weight", "1.bias"]
    assert parameters(without_reference()) == matrices(without_reference()) == []
