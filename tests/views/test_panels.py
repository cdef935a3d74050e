import re
from dataclasses import replace
from html import unescape

import pytest
from markupsafe import escape

from qdemo.spec.report import Ended
from qdemo.spec.setting import InputToken
from qdemo.views import panels, tables
from qdemo.views.cards import cards
from qdemo.views.numbers import significant
from qdemo.views.verdict import more
from tests.views.documents import (
    FORMATS,
    HOSTILE,
    Hostile,
    Page,
    compared,
    overflowing,
    without_reference,
)


@pytest.fixture(scope="module")
def report():
    return compared()


@pytest.fixture(scope="module")
def hostile():
    report = compared(("bf16", "int2", "int8-g9"), Hostile())
    failures = (Ended(report.failures[0].format, HOSTILE),)
    return replace(report, failures=failures, stopped=(Ended("int2", HOSTILE),))


PANELS = {
    "verdict": lambda report: panels.verdict_html(report, note=HOSTILE),
    "running": lambda report: panels.running_html(report),
    "cards": lambda report: panels.cards_html(cards(report)),
    "cards that run": lambda report: panels.cards_html(
        cards(replace(report, results=(), failures=(), running={"fp32": HOSTILE}))
    ),
    "summary": lambda report: panels.table_html(tables.summary(report)),
    "ribbon": lambda report: panels.ribbon_html(report),
    "likeliest": lambda report: panels.top_html(report, 0),
}


@pytest.mark.parametrize("panel", PANELS)
def test_text_from_outside_stays_text(hostile, panel):
    page = Page(PANELS[panel](hostile))
    assert HOSTILE in page.text
    assert page.all("img") == page.all("script") == []
    assert not any(name.startswith("on") for _, a in page.elements for name in a)


def test_a_failure_is_escaped(hostile):
    page = Page(panels.cards_html(cards(hostile)[3:]))
    assert f"Failed. {HOSTILE}" in " ".join(page.text.split())


def test_text_in_attributes_stays_there(hostile):
    page = Page(panels.verdict_html(hostile))
    assert page.marked("unknown")[0]["title"] == f"unknown: {HOSTILE}"


def test_cards_stand_in_rows_of_the_same_length(report):
    shown = cards(report)
    for count, columns in {1: 1, 4: 4, 5: 5, 6: 3, 9: 5}.items():
        html = panels.cards_html((shown * 2)[:count])
        assert Page(html).marked("cards")[0]["style"].split(";")[0] == f"--cols:{columns}"
        assert len(Page(html).all("article")) == count


def test_cards_show_their_state_size_and_marks(report):
    html = panels.cards_html(cards(report))
    page = Page(html)
    assert [a["class"] for a in page.all("article")] == [f"card {c.state}" for c in cards(report)]
    assert [a["data-format"] for a in page.all("article")] == list(report.formats)
    marks = sum(differs for card in cards(report) for _, differs in card.words)
    assert len(page.all("mark")) == marks > 0
    widths = [i["style"] for i in page.all("i") if "class" not in i]
    assert widths == [f"width:{card.share}" for card in cards(report) if card.share]


def test_of_a_text_that_grows_only_what_is_added_is_news(report):
    def running(text):
        begun = {"results": report.results[:1], "failures": (), "running": {"int8": text}}
        return cards(replace(report, **begun))

    before = running("one")
    assert panels.news_html(before, running(f"one {HOSTILE}")) == (
        f'<p data-format="int8"> {escape(HOSTILE)}</p>'
    )
    page = Page(panels.news_html(before, running("two")))  # its beginning was read anew
    assert [card["data-format"] for card in page.all("article")] == ["int8"]
    assert "two" in page.text
    assert panels.news_html(before, before) == ""


def test_news_are_the_cards_that_have_changed(report):
    waiting = cards(replace(report, results=(), failures=()))
    begun = cards(replace(report, results=report.results[:1], failures=()))
    assert Page(panels.news_html(waiting, begun)).all("article") == [
        {"class": "card done", "style": f"--colour:{begun[0].colour}", "data-format": "fp32"}
    ]
    ended = cards(report)
    changed = [new.format for old, new in zip(begun, ended, strict=True) if old != new]
    page = Page(panels.news_html(begun, ended))
    assert [card["data-format"] for card in page.all("article")] == changed
    assert len(changed) == len(ended) - 1  # what is through stays as it is


def test_an_empty_answer_is_told():
    report = compared(())
    report = replace(report, results=(replace(report.results[0], output=""),))
    assert "an empty answer" in panels.cards_html(cards(report))


def test_a_table_has_its_heads_and_cells(report):
    table = tables.summary(report)
    page = Page(panels.table_html(table))
    assert len(page.all("td")) == len(table.rows) * (len(table.head) - 1)
    scopes = [a["scope"] for a in page.all("th")]
    assert (scopes.count("col"), scopes.count("row")) == (len(table.head), len(table.rows))
    assert len(page.all("caption")) == 1
    assert all(cell in page.text for row in table.rows for cell in row)


def test_the_ribbon_has_a_cell_for_each_token_of_each_format(report):
    page = Page(panels.ribbon_html(report))
    compared_formats = [trial.format for trial in report.variants]
    rows = [row["data-format"] for row in page.all("tr") if "data-format" in row]
    assert rows == compared_formats
    told = [cell["data-kl"] for cell in page.all("td")]
    by_format = [trial.by_position["kl_by_position"] for trial in report.variants]
    assert told == [significant(kl) for differences in by_format for kl in differences]
    assert all(piece in page.text for piece in report.results[0].pieces)


def test_the_ribbon_tells_what_is_not_finite_by_nothing():
    report = compared(("bf16",))
    fp32, bf16 = report.results
    kl = (0.0, 1e-6, 9e-3, 2.0, None)
    bf16 = replace(bf16, by_position={**bf16.by_position, "kl_by_position": kl})
    report = replace(report, results=(fp32, bf16))
    cells = Page(panels.ribbon_html(report)).all("td")
    assert [cell.get("data-kl") for cell in cells] == ["0", "1.00e-06", "0.00900", "2.00", None]


def test_the_ribbon_says_what_would_be_written_instead(report):
    pieces = report.results[0].pieces
    cells = [unescape(own) for own in re.findall(r"<td [^>]*>([^<]*)", panels.ribbon_html(report))]
    told = [
        own if own != written else ""
        for trial in report.variants
        for written, ((own, _), *_) in zip(pieces, trial.top, strict=True)
    ]
    assert cells == told
    assert any(told)


def tied(report):
    """The report with a tie at the third token of its second format: fp32's is as likely to it as
    another, which comes first and is written."""
    fp32, bf16, *others = report.results
    top = list(bf16.top)
    top[2] = (("<first>", 0.4), (fp32.pieces[2], 0.4), *top[2][2:])
    same = (1.0, 1.0, 1.0, 0.0, 1.0)
    bf16 = replace(
        bf16, top=tuple(top), figures={**bf16.figures, "first_divergent_token": 3},
        by_position={**bf16.by_position, "same_top_by_position": same},
    )  # fmt: skip
    return replace(report, results=(fp32, bf16, *others))


def test_a_tie_is_told_as_one_and_as_no_change(report):
    found = tied(report)
    name = found.results[1].format
    html = panels.ribbon_html(replace(found, results=found.results[:2]))
    cells = re.findall(r"<td ([^>]*)>([^<]*)", html)
    assert ["data-tie" in attributes for attributes, _ in cells] == [0, 0, 1, 0, 0]
    assert [bool(own) for _, own in cells] == [0, 0, 0, 1, 0]
    told = f"At token 3 fp32's word is exactly as likely to {name} as its own: a tie."
    assert told in more(found)
    assert not any("a tie" in sentence for sentence in more(report))


def test_near_all_and_near_nothing_are_told_from_all_and_nothing(report):
    fp32, *others = report.results
    top = ((("a", 0.9996), ("b", 0.0004), ("c", 0.0)), *fp32.top[1:])
    page = panels.top_html(replace(report, results=(replace(fp32, top=top), *others)), 0)
    shares = re.findall(r'class="share">([^<]*)', page)[:3]
    assert [unescape(share) for share in shares] == [">99.9%", "<0.1%", "0%"]


def test_each_list_of_likeliest_tokens_has_its_kl(report):
    told = re.findall(r'class="kl">([^<]*)', panels.top_html(report, 2))
    kl = [significant(trial.by_position["kl_by_position"][2]) for trial in report.variants]
    assert told == [f"KL {one} nats" for one in kl]


def test_a_picture_is_called_by_what_is_on_it(report):
    known_as = "gallery:a-dog-at-sea, 384 × 384 pixels, sha256 0123456789abcdef"
    page = panels.verdict_html(replace(report, input=known_as, read=()))
    assert f'<q title="{known_as}"><bdi>a picture of the gallery: a dog at sea</bdi>' in page
    assert f"<q><bdi>{known_as}" in panels.verdict_html(replace(report, input=known_as))  # a text


def test_the_likeliest_tokens_of_each_format_are_listed(report):
    page = Page(panels.top_html(report, 2))
    assert "(token 3)" in page.text
    assert len(page.all("li")) == 5 * len(report.results)
    widths = [float(i["style"][6:-1]) for i in page.all("i")]
    shares = [share for trial in report.results for _, share in trial.top[2]]
    assert widths == pytest.approx([100 * share for share in shares], abs=0.05001)


def test_panels_stand_for_unusual_documents():
    for report in (without_reference(), compared(()), overflowing()):
        html = [panels.verdict_html(report), panels.cards_html(cards(report))]
        html += [panels.ribbon_html(report), panels.top_html(report, 0)]
        assert not any("None" in part or "nan" in part for part in html)


def test_the_verdict_shows_what_was_asked_and_where_it_is_from(report):
    page = Page(panels.verdict_html(report, note="computed earlier"))
    assert [p.get("class") for p in page.all("p")] == [
        "stale-note", "asked", None, "note", "sentences", "more",
    ]  # fmt: skip
    assert Page(panels.verdict_html(report)).marked("note") == []
    assert FORMATS[0] in page.text


def test_the_tokens_that_the_model_reads_are_shown_and_the_odd_ones_marked(report):
    read = (
        InputToken("▁hi", "hi"),
        InputToken("<unk>", "😀", "unknown"),
        InputToken("</s>", kind="special"),
    )
    page = Page(panels.verdict_html(replace(report, read=read)))
    assert "read as 3 tokens; this model does not know 😀" in page.text
    assert [code.get("class") for code in page.all("code")] == [None, "unknown", "special"]
    assert page.marked("unknown")[0]["title"] == "unknown: 😀"
    assert "open" in page.all("details")[0]
    plain = Page(panels.verdict_html(replace(report, read=read[:1])))
    assert "open" not in plain.all("details")[0]
    long = Page(panels.verdict_html(replace(report, read=read * 20)))
    assert "open" not in long.all("details")[0]
    assert len(long.all("code")) == 60
    assert Page(panels.verdict_html(replace(report, read=()))).marked("read") == []
