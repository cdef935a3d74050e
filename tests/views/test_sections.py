"""Every section is in the HTML report, and on the page, in its order."""

import pytest

from qdemo.spec.report import WHOLE_MODEL
from qdemo.views import SECTIONS, files, plots
from qdemo.views import sections as every
from qdemo.views.sections import Section
from tests.views.documents import Page, compared, overflowing, without_reference


@pytest.fixture(scope="module")
def report():
    return compared()


def shown(section, report, parameter):
    """All that a section shows, as text."""
    made = [plots.for_browser(section.figure(report, parameter))] if section.figure else []
    return made + ([section.drawn(report, parameter)] if section.drawn else [])


def test_sections_have_their_own_keys_and_titles():
    for values in ([one.key for one in SECTIONS], [one.title for one in SECTIONS]):
        assert all(values)
        assert len(set(values)) == len(values) == 4


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.key)
@pytest.mark.parametrize("make", [compared, overflowing])
def test_a_section_has_a_chart_a_reading_and_a_table(section, make):
    report = make()
    for parameter in report.parameters if section.by_parameter else [WHOLE_MODEL]:
        assert shown(section, report, parameter)
        assert section.reading(report, parameter).endswith(".")
        assert section.table is None or section.table(report, parameter).rows


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.key)
def test_only_a_section_that_says_so_depends_on_the_parameter(report, section):
    one, other = (
        (shown(section, report, name), section.reading(report, name))
        for name in (WHOLE_MODEL, "1.weight")
    )
    assert (one != other) is section.by_parameter


def test_the_report_has_every_section(report):
    page = Page(files.as_page(report))
    places = [page.text.index(section.title) for section in SECTIONS]
    assert places == sorted(places)
    readings = [section.reading(report, WHOLE_MODEL) for section in SECTIONS]
    assert all(reading in page.text for reading in readings)
    captions = [one.table(report, WHOLE_MODEL).caption for one in SECTIONS if one.table]
    assert all(caption in page.text for caption in captions)


PLAIN = {"mode": "lines", "line": {"color": "#000000"}}
ONE_MORE = Section(
    "lengths", "Lengths of the answers", "How long each is.",
    lambda report, _: plots.styled(
        [{"name": "", "y": [len(t.tokens) for t in report.results], **PLAIN}], ("", "", "")
    ),
    lambda report, _: f"There are {len(report.results)} answers.",
)  # fmt: skip


def test_a_further_section_is_in_the_report(report, monkeypatch):
    monkeypatch.setattr(files, "SECTIONS", (*SECTIONS, ONE_MORE))
    page = Page(files.as_page(report))
    assert len(page.marked("drawn")) == 8
    assert f"There are {len(report.results)} answers." in page.text
    assert ONE_MORE.title in page.text


def test_without_anything_to_compare_there_is_none():
    for report in (without_reference(), compared(())):
        page = Page(files.as_page(report))
        assert page.marked("drawn") == []
        assert every.MEMORY.title not in page.text
