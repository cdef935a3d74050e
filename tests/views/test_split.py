"""The bar of a token's time."""

from dataclasses import replace

import pytest

from qdemo.spec.report import Report
from qdemo.views import panels
from qdemo.views.cards import cards
from qdemo.views.split import split
from tests.views.documents import HOSTILE, Page, compared, figured

FP32 = {"token_ms": 8.0, "read_bytes": 4e6, "reading_ms": 2.0, "kernels_ms": 3.0, "outside_ms": 3.0}
INT8 = {"token_ms": 4.0, "read_bytes": 1e6, "reading_ms": 0.5, "kernels_ms": 0.5, "outside_ms": 3.0}


@pytest.fixture(scope="module")
def report():
    found = compared(("bf16", "int8"))
    fp32, bf16, int8 = found.results
    figures = figured(fp32, **FP32), figured(bf16, outside_ms=None), figured(int8, **INT8)
    return replace(found, results=figures)


def bars(report: Report):
    return [split(report, trial) for trial in report.results]


def test_the_bars_are_as_long_as_the_tokens_take(report):
    fp32, _, int8 = bars(report)
    assert [part.ms for part in fp32.parts] == [2.0, 3.0, 3.0]
    assert [part.ms for part in int8.parts] == [0.5, 0.5, 3.0]
    assert (fp32.ms, int8.ms) == (8.0, 4.0)
    assert [part.word for part in int8.parts] == ["weights", "kernels", "Python"]
    assert [part.time for part in int8.parts] == ["0.50 ms", "0.50 ms", "3.0 ms"]
    assert (fp32.limit_ms, int8.limit_ms) == (2.0, 0.5)


def test_the_sentence_has_the_figures(report):
    fp32, _, int8 = bars(report)
    assert fp32.sentence == (
        "Each token reads 4.00 MB of weights. Of its 8.0 ms, Python takes 3.0: the mean "
        "of 4 tokens, divided as one more step after them."
    )
    assert int8.sentence == (
        "Each token reads 25% of fp32's bytes. Of its 4.0 ms, Python takes 3.0: the mean "
        "of 4 tokens, divided as one more step after them."
    )
    assert int8.told == (
        "Each further token: weights 0.50 ms, kernels 0.50 ms, Python 3.0 ms. The line is the "
        "limit: the weights read once."
    )


def test_kernels_that_are_faster_than_the_limit_end_before_it(report):
    figures = {"token_ms": 8.0, "reading_ms": 4.0, "kernels_ms": 0.0, "outside_ms": 5.0}
    fast = replace(report, results=(figured(report.results[0], **figures),))
    (bar,) = bars(fast)
    assert [part.ms for part in bar.parts] == [3.0, 0.0, 5.0]
    assert bar.limit_ms == 4.0


@pytest.mark.parametrize("key", FP32)
def test_what_was_not_measured_has_no_bar(report, key):
    assert split(report, figured(report.results[0], **{key: None})) is None
    assert bars(report)[1] is None
    one_token = compared(("bf16",), max_tokens=1)
    assert bars(one_token) == [None, None]


def test_a_report_of_before_has_no_bars(report):
    figures = tuple(figure for figure in report.figures if not figure.head("bar"))
    fp32 = report.results[0]
    kept = {key: value for key, value in fp32.figures.items() if key not in INT8}
    before = replace(report, figures=figures, results=(replace(fp32, figures=kept),))
    assert bars(before) == [None]
    assert "split" in panels.cards_html(cards(before))  # its place, so that cards line up


def test_without_parts_or_time_there_is_no_bar(report):
    figures = tuple(replace(figure, heads=()) for figure in report.figures)
    assert bars(replace(report, figures=figures)) == [None] * 3
    timeless = dict.fromkeys(FP32, 0.0)
    assert bars(replace(report, results=(figured(report.results[0], **timeless),))) == [None]


def test_the_card_shows_it_in_words_too(report):
    page = Page(panels.cards_html(cards(report)))
    times = page.marked("time")
    told = [bar.told for bar in bars(report) if bar]
    assert [bar["aria-label"] for bar in times] == told
    assert all(bar["role"] == "img" for bar in times)
    styles = [mark["style"] for mark in page.all("b") if "style" in mark]
    assert styles == ["--ms:2.000", "--ms:0.500"]
    assert page.marked("cards")[0]["style"] == "--cols:3;--widest:8.000"
    keys = [figure.key for figure in report.figures if figure.head("bar")]
    spans = [span["data-term"] for span in page.all("span") if "data-term" in span]
    assert [key for key in spans if key in keys and key != "token_ms"] == keys * sum(
        map(bool, bars(report))
    )
    for bar in filter(None, bars(report)):
        assert bar.sentence in page.text


def test_a_bar_that_comes_later_is_drawn_beside_the_others(report):
    *before, _ = shown = cards(report)
    news = Page(panels.news_html([*before, replace(shown[-1], split=None)], shown))
    assert [card["data-format"] for card in news.all("article")] == ["int8"]
    assert news.marked("cards")[0]["style"] == "--cols:1;--widest:8.000"


def test_what_a_file_calls_a_part_is_text(report):
    figures = tuple(
        replace(figure, heads=(("bar", HOSTILE),), definition=HOSTILE)
        if figure.head("bar")
        else figure
        for figure in report.figures
    )
    page = Page(panels.cards_html(cards(replace(report, figures=figures))))
    assert not page.all("img")
    assert not page.all("script")
    assert HOSTILE in page.text
