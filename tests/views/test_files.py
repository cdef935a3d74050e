import csv
import io
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo.spec.document import as_json
from qdemo.spec.report import Report
from qdemo.views import SECTIONS, files, readings
from tests.views.documents import HOSTILE, Hostile, Page, compared, overflowing, without_reference

SAFE = r"qdemo-[A-Za-z0-9+@_.~=-]{0,160}\.json"
FP32_ALONE = compared(())
FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
)


@pytest.fixture(scope="module")
def report():
    return compared()


@pytest.fixture(scope="module")
def page(report):
    return Page(files.as_page(report))


def saying(text):
    """A report in which the input and all outputs are that text."""
    report = compared(("bf16",))
    results = tuple(replace(trial, output=text) for trial in report.results)
    return replace(report, input=text, results=results)


def read_csv(report):
    return list(csv.DictReader(io.StringIO(files.as_csv(report), newline="")))


@pytest.mark.parametrize(
    "make", [compared, overflowing, without_reference, lambda: saying(HOSTILE)]
)
def test_the_json_is_the_document(make):
    report = make()
    strict = {"parse_constant": lambda constant: pytest.fail(constant)}
    assert json.loads(files.WRITERS["json"](report), **strict) == as_json(report)


def test_the_csv_has_a_row_a_format_with_its_figures(report):
    rows = read_csv(report)
    assert [row["format"] for row in rows] == [trial.format for trial in report.results]
    for row, trial in zip(rows, report.results, strict=True):
        assert (row["model"], row["input"]) == ("parrot", "3")
        assert int(row["bytes"]) == trial.footprint.total
        assert float(row["times_smaller"]) == trial.figures["times_smaller"]
        assert row["output"] == trial.output
        assert row["device"] == "cpu"
    assert rows[0]["logit_mean_abs"] == ""
    assert float(rows[2]["logit_mean_abs"]) == report.results[2].figures["logit_mean_abs"]


def test_the_csv_has_every_plain_figure_unrounded(report):
    for row, trial in zip(read_csv(report), report.results, strict=True):
        for figure in report.figures:
            value = trial.figures[figure.key]
            assert row[figure.key] == "" if value is None else float(row[figure.key]) == value
        assert row["largest_inside"] == ("" if trial.span is None else str(trial.span.largest))
        assert row["overflow_at"] == ""


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_spreadsheet_finds_no_formula(formula):
    for row in read_csv(saying(formula)):
        assert row["input"] == row["output"] == f"'{formula}"


@given(st.text(st.characters(codec="utf-8"), max_size=12))
def test_any_text_comes_back_from_the_csv(text):
    results = (replace(FP32_ALONE.results[0], output=text),)
    (row,) = read_csv(replace(FP32_ALONE, input=text, results=results))
    for cell in (row["input"], row["output"]):
        assert cell in (text, f"'{text}")
        assert cell[:1] not in tuple("=+-@\t\r\n＝＋－＠")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_an_end_of_line_begins_no_row_of_its_own(end):
    rows = read_csv(saying(f"one{end}=1+1"))
    assert [row["output"] for row in rows] == [f"one{end}=1+1"] * 2


def test_a_csv_without_results_is_no_error():
    assert files.as_csv(without_reference()).strip() == ""


def addresses(page):
    """Everything that a browser would load or lead to."""
    named = [a.get(name) for _, a in page.elements for name in ("src", "href", "srcset", "data")]
    styles = [text for tag, text in page.inner if tag == "style"]
    styles += [a["style"] for _, a in page.elements if a.get("style")]
    return [*filter(None, named), *re.findall(r"@import[^;]*|url\([^)]*\)", " ".join(styles))]


def test_the_page_loads_nothing_from_anywhere(page):
    assert addresses(page) == []
    assert page.all("link") == page.all("iframe") == page.all("base") == []


def test_the_page_has_every_part(page, report):
    titles = ("All figures", "Memory", "Logits", "Weights", "Matrix by matrix")
    assert all(title in page.text for title in titles)
    assert len(page.all("article")) == len(report.formats)
    drawn = 2 * sum(section.figure is not None for section in SECTIONS)  # wide and narrow
    assert len(page.marked("drawn")) == drawn == 6
    assert len(page.all("figure")) == len(report.variants)
    assert len(page.marked("map")) == len(page.marked("ribbon")) == 1
    assert all(trial.output in page.text for trial in report.results)
    assert report.computed in page.text
    assert report.machine.torch in page.text


def test_the_page_runs_nothing_that_came_from_outside(page):
    hostile = Page(files.as_page(compared(runner=Hostile())))
    assert len(hostile.all("script")) == len(page.all("script"))
    assert hostile.all("img") == []
    assert not any(name.startswith("on") for _, a in hostile.elements for name in a)
    assert HOSTILE in hostile.text


def test_the_page_stands_for_unusual_documents():
    for report in (without_reference(), compared(()), overflowing()):
        page = Page(files.as_page(report))
        assert len(page.all("article")) == len(report.formats)
        assert len(page.marked("drawn")) == (6 if report.results[1:] else 0)


def test_a_report_is_small(report):
    assert len(files.as_page(report).encode()) < 200_000


def test_the_top_tokens_are_those_of_the_page_and_the_worst_are_shown(page, report):
    worst = readings.worst_position(report)[1]
    tops = [a for _, a in page.elements if "data-top" in a]
    assert [a["data-top"] for a in tops if "hidden" not in a] == [str(worst)]
    assert len(tops) == len(report.results[0].pieces)


def test_many_likeliest_tokens_are_left_out_where_formats_differ_least(report, monkeypatch):
    monkeypatch.setattr(files, "_MOST_TOPS", 2 * len(report.results))
    page = Page(files.as_page(report))
    tops = [a["data-top"] for _, a in page.elements if "data-top" in a]
    assert len(tops) == 3
    assert tops[-1] == "none"
    assert str(readings.worst_position(report)[1]) in tops


def test_a_picture_is_in_the_page(report):
    (image,) = Page(files.as_page(report, "data:image/jpeg;base64,AAAA")).all("img")
    assert image == {"class": "of-report", "src": "data:image/jpeg;base64,AAAA", "alt": "3"}


def named(model, formats):
    return Report(model, "", 64, tuple(formats))


@given(st.text(max_size=20), st.lists(st.text(max_size=9), max_size=9))
def test_file_names_are_safe(model, formats):
    name = files.file_name(named(model, formats), "json")
    assert re.fullmatch(SAFE, name)


def test_file_names_have_an_end():
    long = ["int4-g64-affine+emb@bf16~lm_head=int8"] * 9
    names = {files.file_name(named("t5-tiny", [*long, last]), "json") for last in ("int2", "int3")}
    assert all(re.fullmatch(SAFE, name) for name in names)
    assert len(names) == 2  # what is cut off is told apart all the same


def test_file_names_say_what_is_inside():
    report = named("google/flan-t5-small", ["fp32", "int4-g64+emb@bf16"])
    assert files.file_name(report, "csv") == (
        "qdemo-google-flan-t5-small-fp32-int4-g64+emb@bf16.csv"
    )


def test_there_are_three_kinds_of_file(report):
    assert list(files.WRITERS) == ["json", "csv", "html"]
    assert all(write(report) for write in files.WRITERS.values())


def test_a_picture_that_is_not_had_is_told_of(report):
    asked = replace(report, input="me.jpg, 640 × 480 pixels, sha256 0123456789abcdef")
    told = "The picture that was asked about is not in this file."
    assert told in Page(files.written(asked, "html")).text
    assert told not in Page(files.written(asked, "html", "data:,")).text
    assert told not in Page(files.as_page(report)).text
