"""The map of the matrices and the small charts of their errors."""

import re
from dataclasses import replace

import pytest

from qdemo.spec.report import WHOLE_MODEL, Histogram
from qdemo.views.colours import colour
from qdemo.views.matrices import LEAST, LEVELS, SHOWN, around_zero, errors_html, map_html
from tests.views.documents import Page, compared, overflowing, without_reference


@pytest.fixture(scope="module")
def report():
    return compared()


def rows(html):
    """Each format of the map with the levels and the decibels of its cells."""
    found = re.findall(r'<tr data-format="([^"]*)" data-db="([^"]*)" data-levels="(\w*)"', html)
    return {name: (list(levels), db.split(" ")) for name, db, levels in found}


def test_the_map_has_the_decibels_of_each_matrix(report):
    page = map_html(report)
    assert list(rows(page)) == [trial.format for trial in report.variants]
    for trial in report.variants:
        told = [trial.weights[name].figures["sqnr_db"] for name in report.matrices]
        assert rows(page)[trial.format][1] == ["" if db is None else f"{db:.1f}" for db in told]


def with_decibels(report, *decibels):
    """The same with another SQNR of each matrix in its first format."""
    first, *others = report.variants
    weights = dict(first.weights)
    for name, db in zip(report.matrices, decibels, strict=True):
        figures = {**weights[name].figures, "sqnr_db": db}
        weights[name] = replace(weights[name], figures=figures)
    changed = replace(first, weights=weights)
    return replace(report, results=(report.results[0], changed, *others))


def levels(report):
    return next(iter(rows(map_html(report)).values()))[0]


def test_the_worst_matrix_of_a_row_has_the_strongest_colour(report):
    assert levels(with_decibels(report, 20.0, 10.0)) == ["0", str(LEVELS)]
    assert levels(with_decibels(report, 10.0, 10.0 + LEAST)) == [str(LEVELS), "0"]
    assert levels(with_decibels(report, 10.0, 10.0 + LEAST / LEVELS)) == ["1", "0"]
    assert len(set(levels(with_decibels(report, 10.0, 10.0)))) == 1


def test_what_is_exact_has_no_level_nor_what_overflowed(report):
    assert levels(with_decibels(report, None, 10.0))[0] == "e"
    assert levels(overflowing(("fp16",)))[0] == "o"


def test_the_places_of_the_map_are_those_of_the_layer_list(report):
    (table,) = Page(map_html(report)).all("table")
    names, places = table["data-names"].split("\n"), table["data-places"].split()
    assert [report.parameters[int(place)] for place in places] == names == report.matrices


def test_blocks_stand_over_their_matrices(report):
    heads = [a for a in Page(map_html(report)).all("th") if a.get("scope") == "colgroup"]
    assert sum(int(a["colspan"]) for a in heads) == 2 * len(report.matrices)


def test_each_format_has_a_panel_in_its_colour(report):
    panels = Page(errors_html(report, WHOLE_MODEL)).all("figure")
    assert [a["style"] for a in panels] == [f"--colour:{colour(t.format)}" for t in report.variants]


def test_around_zero_is_the_least_that_holds_nearly_all():
    counts = [1, 0, 0, 0, 0, 0, 0, 0, 0, 5000, 5000, 300]
    shown = around_zero(Histogram(-10.0, 1.0, tuple(counts)))
    assert len(shown) == 12
    assert sum(shown) >= SHOWN * sum(counts)
    assert shown[len(shown) // 2 - 1 : len(shown) // 2 + 2] == [5000, 5000, 300]


def test_nothing_is_left_out_where_all_is_near():
    shown = around_zero(Histogram(-0.5, 0.25, (1, 2, 3, 4)))
    assert shown == [1, 2, 3, 4]


def test_a_format_without_errors_says_so(report):
    first = report.variants[0]
    none = replace(first.weights["1.weight"], histogram=Histogram(0.0, 1.0, ()))
    quiet = replace(first, weights={**first.weights, "1.weight": none})
    html = errors_html(replace(report, results=(report.results[0], quiet)), "1.weight")
    assert "no errors" in html
    assert "<svg" not in html


def test_both_stand_for_unusual_documents():
    for report in (without_reference(), compared(())):
        assert rows(map_html(report)) == {}
        assert Page(errors_html(report, WHOLE_MODEL)).all("figure") == []
