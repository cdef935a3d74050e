"""Figures as SVG: every one of ours is drawn, at the places that its axes say, and nothing is left
out without a word."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo.views import SECTIONS, plots, svg
from qdemo.views.axes import Axis, nice, power, powers
from tests.views.documents import HOSTILE, Page, compared, overflowing, without_reference

WIDTH = 640
NUMBER = r"-?\d+(?:\.\d)?"
FLOATS = st.floats(-1e6, 1e6)


@pytest.fixture(scope="module")
def report():
    return compared()


def boxes(text):
    """The boxes of each kind of bytes, without the legend's, as (x, y, width, height)."""
    found = re.findall(r'<path class="box"[^>]* d="([^"]*)"', text)
    shape = rf"M({NUMBER}) ({NUMBER})h({NUMBER})v({NUMBER})h{NUMBER}z"
    kinds = [[[float(n) for n in box] for box in re.findall(shape, d)] for d in found]
    return [kind for kind in kinds if not (len(kind) == 1 and kind[0][2:] == [24, 14])]


def lines(text):
    return re.findall(r'<path class="line"[^>]*stroke="([^"]*)"[^>]* d="([^"]*)"', text)


@pytest.mark.parametrize("width", [340, 660])
@pytest.mark.parametrize("make", [compared, overflowing, lambda: compared(("bf16",))])
def test_every_section_is_drawn(make, width):
    report = make()
    for section in SECTIONS:
        for parameter in report.parameters if section.figure else ():
            page = Page(svg.drawn(section.figure(report, parameter), width))
            (drawing,) = page.all("svg")
            assert drawing["role"] == "img"
            assert drawing["viewbox"].split()[2] == str(width)
            assert len(page.all("title")) == 1


def test_a_bar_is_as_long_as_its_bytes_and_begins_where_the_last_one_ends(report):
    kinds = boxes(svg.drawn(plots.memory(report), WIDTH))
    whole = {}
    for _, y, wide, _ in (box for kind in kinds for box in kind):
        whole[y] = whole.get(y, 0) + wide
    bytes_held = [trial.footprint.total for trial in report.results]  # the first one is on top
    shares = [
        wide / size for (_, wide), size in zip(sorted(whole.items()), bytes_held, strict=True)
    ]
    assert shares == pytest.approx([shares[0]] * len(shares), rel=0.02)
    ends = {y: x + wide for x, y, wide, _ in kinds[0]}
    assert all(x == pytest.approx(ends.get(y, x), abs=0.21) for x, y, *_ in kinds[1])


def test_each_point_of_a_line_is_where_the_axes_say(report):
    figure = plots.logits(report)
    drawn = lines(svg.drawn(figure, WIDTH))[: len(figure.data)]
    low, high = figure.layout.yaxis.range
    for trace, (colour, d) in zip(figure.data, drawn, strict=True):
        assert colour == trace.line.color
        ys = [float(y) for _, y in re.findall(rf"[ML]({NUMBER}) ({NUMBER})", d)]
        shares = [Axis(low, high, 0, 1, is_log=True).at(kl) for kl in trace.y]
        (y0, s0), (y1, s1) = min(zip(ys, shares, strict=True)), max(zip(ys, shares, strict=True))
        for y, share in zip(ys, shares, strict=True):
            assert y == pytest.approx(y0 + (share - s0) * (y1 - y0) / (s1 - s0), abs=0.2)


def test_a_stair_has_a_step_for_each_bin_and_breaks_off_where_there_is_none():
    line = {"color": "#000000", "shape": "hv"}
    trace = {"name": "a", "mode": "lines", "x0": 0, "dx": 1, "y": [1, 2, None, 3, 3], "line": line}
    figure = plots.styled([trace], ("", "", ""), showlegend=False)
    ((_, d),) = lines(svg.drawn(figure, WIDTH))
    assert re.sub(NUMBER, "", d) == "M HVHM HV"
    edges = [float(x) for x in re.findall(rf"[MH]({NUMBER})", d)]
    steps = [b - a for a, b in pairwise(edges)]
    assert steps == pytest.approx([steps[0]] * len(steps), abs=0.21)


def test_names_are_text():
    line = {"name": HOSTILE, "y": [1, 2], "mode": "lines", "line": {"color": "#000000"}}
    page = Page(svg.drawn(plots.styled([line], (HOSTILE, HOSTILE, HOSTILE)), WIDTH))
    assert page.all("img") == page.all("script") == []
    assert page.text.count("onerror=alert(1)") == 5  # the title is told and drawn


@pytest.mark.parametrize(
    ("trace", "layout", "named"),
    [
        ({"type": "pie"}, {}, "pie"),
        ({"mode": "text"}, {}, "text"),
        ({"mode": "lines", "stackgroup": "a"}, {}, "stackgroup"),
        ({"mode": "lines", "line": {"color": "#000000", "shape": "spline"}}, {}, "spline"),
        ({"mode": "lines"}, {"shapes": [{"x0": 1}]}, "shapes"),
        ({"mode": "lines"}, {"yaxis": {"tickformat": ".0%"}}, ".0%"),
        ({"mode": "lines", "line": {"color": "#000000"}}, {"yaxis": {"type": "log"}}, "log"),
    ],
)
def test_what_it_does_not_know_is_named(trace, layout, named):
    figure = plots.styled([{"name": "a", **trace}], ("", "", ""), **layout)
    with pytest.raises(ValueError, match=re.escape(named)):
        svg.drawn(figure, WIDTH)


def test_without_results_nothing_fails():
    for figure in (plots.memory(without_reference()), plots.logits(compared(()))):
        assert svg.drawn(figure, WIDTH)


@given(FLOATS, FLOATS, st.integers(2, 9))
def test_ticks_are_round_few_and_on_the_axis(low, high, most):
    if high - low > 1e-3:
        found = nice(low, high, most)
        assert len(found) <= most + 1
        assert all(low - 1e-6 * (high - low) <= at <= high + 1e-6 * (high - low) for at in found)
        assert len(nice(0, high - low, most)) >= 2


@given(FLOATS, st.floats(1e-3, 1e6), st.floats(0, 1))
def test_an_axis_maps_in_proportion(low, length, share):
    axis = Axis(low, low + length, 10, 110)
    assert axis.at(low + share * length) == pytest.approx(10 + 100 * share, abs=1e-3)


@given(st.lists(st.floats(1e-12, 1e9), min_size=1, max_size=9))
def test_powers_hold_what_is_on_their_axis(values):
    axis = powers(values)
    low, high = axis["range"]
    assert all(10**low <= value <= 10**high for value in values)
    assert 1 <= len(axis["tickvals"]) <= 8
    assert axis["ticktext"] == [
        power(round(len(f"{at:.0f}") - 1 if at >= 1 else -len(f"{1 / at:.0f}") + 1))
        for at in axis["tickvals"]
    ]


def test_powers_of_nothing_are_an_axis_all_the_same():
    assert powers([None, 0])["tickvals"] == [0.1, 1]
