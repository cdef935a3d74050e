"""What is shown of a report, in a language in which each sentence is English's in brackets."""

import json
import re
from dataclasses import replace

import pytest
import torch
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from qdemo.lab.bitstrip import Row
from qdemo.lab.by_hand import by_hand
from qdemo.spec.formats import FORMATS
from qdemo.spec.messages import LOCALE, speak
from qdemo.spec.report import WHOLE_MODEL, Ended, Overflow, Span
from qdemo.spec.scheme import Scheme
from qdemo.spec.setting import InputToken
from qdemo.views import SECTIONS, files, lab, lab_plots, panels, plots, tables, terminal, terms
from qdemo.views.cards import cards
from qdemo.views.covering import covers, held_twice
from qdemo.views.lab_spirals import panels_html
from qdemo.views.verdict import kept_note, verdict
from qdemo.views.wording import describe
from tests.test_words import Read
from tests.views.documents import compared, overflowing, without_reference


@pytest.fixture
def elsewhere(tmp_path):
    """Speaks a language in which each sentence is English's in brackets."""
    with (LOCALE / "qdemo.pot").open("rb") as file:
        catalogue = read_po(file, locale="eo")
    for message in catalogue:
        if message.id:
            told = message.id if message.pluralizable else (message.id,)
            bracketed = tuple(f"⟦{one}⟧" for one in told)
            message.string = bracketed if message.pluralizable else bracketed[0]
    folder = tmp_path / "eo" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "qdemo.mo").open("wb") as file:
        write_mo(file, catalogue)
    speak("eo", tmp_path)
    yield
    speak("en")


def odd(report):
    """The same where everything happened that has words of its own."""
    fp32, int8, *more = report.results
    span = Span(8188.0, "a", Overflow("a.wi", infinite=3, nan=1, numbers=4096, clamped_in=""))
    int8 = replace(int8, span=span)
    return replace(
        report,
        results=(fp32, int8, *more[1:]),
        stopped=(Ended("int8", "stopped"),),
        kept=("fp32",),
        kept_wide=("a.wo",),
        read=(InputToken("▁hi", "hi"), InputToken("?", "☃", "unknown"), InputToken("3")),
    )


REPORTS = {
    "usual": compared,
    "overflowing": overflowing,
    "without fp32": without_reference,
    "alone": lambda: compared(()),
    "odd": lambda: odd(compared(("fp16", "int8", "int2-tensor+emb@bf16"))),
}


@pytest.fixture(params=REPORTS)
def report(request, elsewhere):
    return REPORTS[request.param]()


VALUES = {
    "qdemo", "parrot", "cpu", "stopped", "hi", "▁hi", "wo", "a.wi", "0.weight", "1.weight",
    "1.bias", "w", "ŵ",
}  # fmt: skip
"""Words that are no one's language: names, and what models say."""


def untold(text, report=None):
    """The words of a text that no catalogue gave it and that are no values of it."""
    inner = None
    while inner != text:
        inner, text = text, re.sub(r"⟦[^⟦⟧]*⟧", " ", text)
    text = re.sub(r"%\{.*?\}|<[^<>]*>|\d(\.\d+)?e[-+]\d+|10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", " ", text)
    formats = set(report.formats) if report else set(FORMATS)
    for value in sorted(VALUES | formats, key=len, reverse=True):
        text = re.sub(rf"(?<![^\W\d_]){re.escape(value)}(?![^\W\d_])", " ", text)
    return re.findall(r"[^\W\d_]+", text)


def drawn(figure):
    """The words of a figure."""
    plain = json.loads(plots.for_browser(figure))
    layout = plain["layout"]
    yield layout["title"]["text"]
    yield from (axis["title"]["text"] for key, axis in layout.items() if "axis" in key)
    yield from (note["text"] for note in layout.get("annotations", ()))
    for trace in plain["data"]:
        yield trace.get("name", "") + trace.get("hovertemplate", "")


def test_what_is_said_of_a_report_is_said_in_another_language(report):
    said = [*verdict(report), kept_note(report), *map(describe, report.formats)]
    said += [
        text
        for trial in report.results
        for text in [
            *held_twice(trial.format, trial.footprint),
            *covers(trial.footprint, trial.coverage),
        ]
    ]
    said += [section.title + section.text for section in SECTIONS]
    assert any("⟦" in text for text in said)
    assert untold("\n".join(said), report) == []


def test_cards_and_panels_are_in_another_language(report):
    shown = [panels.verdict_html(report), panels.running_html(report), panels.top_html(report, 0)]
    shown += [panels.cards_html(cards(report)), panels.ribbon_html(report)]
    shown += [panels.download_html("parrot", 5, 9, speed, speed) for speed in (None, 75.0, 4000.0)]
    for html in shown:
        assert untold("\n".join(Read(html).read), report) == []


def test_tables_are_in_another_language(report):
    every = [tables.summary(report), tables.memory(report), tables.logits(report)]
    every += [tables.weights(report, name) for name in report.parameters]
    for table in every:
        assert untold("\n".join([table.caption, *table.head, *sum(table.rows, ())]), report) == []
    outputs = [trial.output for trial in report.results]
    assert untold(terminal.columns(tables.summary(report), outputs), report) == []


def test_the_glossary_is_in_another_language(report):
    table = terms.glossary(report.figures)
    told = [row[:2] for row in table.rows]  # what else it is called is names
    assert untold("\n".join([table.caption, *table.head, *sum(told, ())]), report) == []


def test_figures_and_what_to_see_in_them_are_in_another_language(report):
    for section in SECTIONS if report.variants else ():
        for parameter in report.parameters if section.by_parameter else [WHOLE_MODEL]:
            told = [section.reading(report, parameter)]
            told += drawn(section.figure(report, parameter)) if section.figure else ()
            told += Read(section.drawn(report, parameter)).read if section.drawn else ()
            assert untold("\n".join(told), report) == []
            assert "⟦" in told[0]


def test_the_page_to_take_away_is_in_another_language(report):
    page = files.as_page(report)
    assert '<html lang="eo"' in page
    assert untold("\n".join(Read(page).read), report) == []


def test_files_for_programs_are_in_none(elsewhere):
    report = compared(("int8",))
    there = files.as_csv(report), files.WRITERS["json"](report)
    speak("en")
    assert there == (files.as_csv(report), files.WRITERS["json"](report))
    assert "⟦" not in "".join(there)


LINES = {"int8": ([0.1, 1.0], [1.0, 0.1])}
OF_THE_LAB = {
    "spacing": lambda: lab_plots.spacing(LINES),
    "dots": lambda: lab_plots.dot_errors([10, 100], {"int8": [0.1, 0.0]}),
    "stairs": lambda: lab_plots.staircase([0.9], [1.0], [0.0, 1.0]),
    "clipping": lambda: lab_plots.clipping([(0.2, 0.1, 3.0), (1.0, 0.5, 0.0)], 0.2, 1.0),
    "the best": lambda: lab_plots.clipping([(0.2, 0.1, 3.0)], 0.2, 0.2),
    "sizes": lambda: lab_plots.error_sizes(LINES),
    "headroom": lambda: lab_plots.headroom("t5-tiny", [("wo", 7.0)], 65504),
    "training": lambda: lab_plots.training({"int8": (0, [0.7])}),
    "flips": lambda: lab_plots.flips([0, 4]),
}


@pytest.mark.parametrize("name", OF_THE_LAB)
def test_the_lab_s_figures_are_in_another_language(elsewhere, name):
    told = "\n".join(drawn(OF_THE_LAB[name]()))
    assert "⟦" in told
    assert untold(told) == []


def test_the_lab_s_pages_are_in_another_language(elsewhere):
    grids = by_hand(torch.tensor([[1.0, -4.0]]), Scheme("int4"))
    parts = tuple((name, "1") for name in ("sign", "exponent", "fraction", "integer"))
    shown = [
        lab.grids_html(grids, (0, 0)),
        lab.integers_html([[1]], [[True]]),
        panels_html([[0.0, 0.0]], [0], 1.1, {"int8": None}),
        lab.steps_html([], [], (0, 0)),
        lab.course_html([]),
        lab.bitstrip_html([Row("int8", "", parts, *[""] * 6)]),
        panels.table_html(lab.formats_table(FORMATS.values())),
    ]
    for html in shown:
        assert untold("\n".join(Read(html).read)) == []
