"""What is shown of a text that is scored: its words, its loss by position, its ribbon."""

import math
from dataclasses import replace

import pytest

from qdemo.spec.decoding import Decoding
from qdemo.spec.setting import InputToken
from qdemo.views import panels, plots, scored
from qdemo.views.cards import cards
from tests import parrot
from tests.views.documents import HOSTILE, Hostile, Page, compared

FORMATS = ("bf16", "int8", "int2")
TEXT = "The cat,  日!"
PIECES = [("<s>", None), ("The", "The"), ("▁cat", " cat"), (",", ","), ("▁▁<0xE6>", "日"),
          ("<0x97>", "日"), ("日", "日"), ("!", "!")]  # fmt: skip
LOSSES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)


def with_losses(*changes):
    """A report of that text, in fp32 and one format whose losses differ by so much."""
    report = parrot.scored(["int8"])
    first, other = report.results
    count, tokens = len(LOSSES), tuple(range(len(LOSSES)))
    pieces = tuple(piece for piece, _ in PIECES[1:])
    kls = {"kl_by_position": (0.1,) * count, "same_top_by_position": (True,) * count}
    top = (first.top[0],) * count
    whole = replace(first, output=TEXT, tokens=tokens, pieces=pieces, top=top)
    then = [None if change is None else loss + change
            for loss, change in zip(LOSSES, changes, strict=True)]  # fmt: skip
    return replace(
        report,
        read=tuple(InputToken(piece, text) for piece, text in PIECES),
        results=(
            replace(whole, by_position={"loss_by_position": LOSSES}),
            replace(whole, format="int8", footprint=other.footprint,
                    by_position={"loss_by_position": tuple(then), **kls}),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "marked"),
    [
        ((0, 0, 0, 0, 0, 0, 0), []),
        ((0, 0.69, 0, 0, 0, 0, 0), []),
        ((0, math.log(2), 0, 0, 0, 0, 0), ["cat"]),
        ((1, 1, 0, 0, 0, 0, -9), ["The cat"]),
        ((0, 0, 0, 1, 0, 0, 0), ["日"]),  # the first of its three tokens stands for it
        ((0, 0, 0, 0, 0, 0, None), ["!"]),
        ((None,) * 7, [TEXT]),
    ],
)
def test_words_are_marked_that_are_at_most_half_as_likely(changes, marked):
    report = with_losses(*changes)
    runs = scored.runs(report, report.results[1])
    assert "".join(text for text, _ in runs) == TEXT
    assert [text for text, is_less in runs if is_less] == marked


@pytest.mark.parametrize("read", [(), (InputToken("a"),), (InputToken("a"),) * 8])
def test_a_text_whose_tokens_are_not_told_stays_whole(read):
    report = replace(with_losses(*(9,) * 7), read=read)
    assert scored.runs(report, report.results[1])[-1] == (TEXT, False)


def test_a_card_has_the_perplexity_in_the_place_of_an_answer():
    report = parrot.scored(FORMATS)
    first, *others = cards(report)
    assert [key for key, _, _ in first.scored] == ["perplexity"]
    for card in others:
        assert [key for key, _, _ in card.scored] == ["perplexity", "perplexity_ratio"]
    page = Page(panels.cards_html(cards(report)))
    assert page.text.count("perplexity") >= len(report.results)
    assert all(card.scored == () for card in cards(compared(FORMATS)))


def test_what_is_read_of_the_losses_is_the_largest():
    told = scored.reading(with_losses(0, 0.5, 2, 0, 0, 0, -3))
    assert told == (
        "fp32 is surprised most by token 7, !: 7.00 nats. int8 loses most at token 3, ,: 2.00 nats "
        "more than fp32."
    )
    assert scored.reading(with_losses(*(-1,) * 7)) == (
        "fp32 is surprised most by token 7, !: 7.00 nats."
    )


def test_a_long_text_is_drawn_as_means_of_neighbours():
    class Long(parrot.Parrot):
        text = tuple(1 + i % 11 for i in range(300))

    report = parrot.scored(["int8"], Long())
    for trace, trial in zip(scored.chart(report).data, report.results, strict=True):
        losses = scored.of(trial)
        assert len(trace.x) == len(trace.y) == 100  # of three tokens each
        assert trace.y[5] == pytest.approx(sum(losses[15:18]) / 3, abs=1e-3)
        assert trace.x[5] == 17
    (line,) = plots.logits(report).data
    assert len(line.y) == 300
    assert line.customdata is None
    assert Page(panels.ribbon_html(report)).all("td")[299]


def test_the_loss_is_drawn_for_a_desktop_and_a_phone_of_a_text_alone():
    page = Page(scored.loss_html(parrot.scored(FORMATS)))
    assert [svg["class"] for svg in page.all("svg")] == ["drawn wide", "drawn narrow"]
    assert scored.loss_html(compared(FORMATS)) == ""
    assert scored.loss_html(parrot.scored([])) == ""


def test_what_a_text_has_from_outside_stays_text():
    page = Page(scored.loss_html(parrot.scored(["int8"], Hostile())))
    assert HOSTILE in page.text
    assert page.all("img") == page.all("script") == []


@pytest.mark.parametrize("decoding", [Decoding("score"), Decoding("chat", 2.0, 3)])
def test_no_tie_is_told_where_fp32_has_not_written_its_likeliest_token(decoding):
    report = parrot.compared(["bf16"], decoding=decoding)
    assert set(report.results[1].by_position["same_top_by_position"]) == {True}
    written = [top[0][0] for top in report.results[0].top]
    assert any(one != piece for one, piece in zip(written, report.results[0].pieces, strict=True))
    ribbon = panels.ribbon_html(report)
    assert "data-tie>" not in ribbon
    assert "would write instead" not in ribbon
    assert "likeliest to that format" in ribbon


@pytest.mark.parametrize(
    ("decoding", "how"),
    [
        (Decoding(), None),
        (Decoding("text"), "gone on with"),
        (Decoding("score"), "scored"),
        (Decoding("chat", 0.7, 3), "temperature 0.7, seed 3"),
        (Decoding("text", 1, 0), "gone on with, temperature 1, seed 0"),
    ],
)
def test_the_verdict_says_how_it_was_asked(decoding, how):
    page = Page(panels.verdict_html(replace(compared(["bf16"]), decoding=decoding)))
    assert ([one for one in page.all("p") if one.get("class") == "how"] != []) == (how is not None)
    assert how is None or how in page.text


def test_an_answer_that_was_stopped_says_so_on_its_card():
    report = compared(["bf16"])
    first, other = report.results
    report = replace(report, results=(first, replace(other, ended="repetition")))
    assert [card.ended for card in cards(report)] == ["", "stopped: it repeats itself"]
    assert "stopped: it repeats itself" in Page(panels.cards_html(cards(report))).text
