import pytest

from qdemo.views import panels, tables
from qdemo.views.cards import cards
from qdemo.views.panels import KL_STEPS
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
def document():
    return compared()


@pytest.fixture(scope="module")
def hostile():
    document = compared(("bf16", "int2", "int8-g9"), Hostile())
    document["failures"][0]["reason"] = HOSTILE
    document["stopped"] = [{"format": "int2", "reason": HOSTILE}]
    return document


PANELS = {
    "verdict": lambda document: panels.verdict_html(document, note=HOSTILE),
    "running": lambda document: panels.running_html(document),
    "cards": lambda document: panels.cards_html(cards(document)),
    "cards that run": lambda document: panels.cards_html(
        cards({**document, "results": [], "failures": []}, {"fp32": HOSTILE})
    ),
    "summary": lambda document: panels.table_html(tables.summary(document)),
    "ribbon": lambda document: panels.ribbon_html(document),
    "likeliest": lambda document: panels.top_html(document, 0),
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
    page = Page(panels.ribbon_html(hostile))
    assert all(HOSTILE in radio["aria-label"] for radio in page.all("input"))
    assert {radio["name"] for radio in page.all("input")} == {"position"}


def test_cards_stand_in_rows_of_the_same_length(document):
    shown = cards(document)
    for count, columns in {1: 1, 4: 4, 5: 5, 6: 3, 9: 5}.items():
        html = panels.cards_html((shown * 2)[:count])
        assert Page(html).marked("cards")[0]["style"] == f"--cols:{columns}"
        assert len(Page(html).all("article")) == count


def test_cards_show_their_state_size_and_marks(document):
    html = panels.cards_html(cards(document))
    page = Page(html)
    assert [a["class"] for a in page.all("article")] == [f"card {c.state}" for c in cards(document)]
    assert [a["data-format"] for a in page.all("article")] == document["formats"]
    marks = sum(differs for card in cards(document) for _, differs in card.words)
    assert len(page.all("mark")) == marks > 0
    widths = [i["style"] for i in page.all("i")]
    assert widths == [f"width:{card.share}" for card in cards(document) if card.share]


def test_an_empty_answer_is_told():
    document = compared(())
    document["results"][0]["output"] = ""
    assert "an empty answer" in panels.cards_html(cards(document))


def test_a_table_has_its_heads_and_cells(document):
    table = tables.summary(document)
    page = Page(panels.table_html(table))
    assert len(page.all("td")) == len(table.rows) * (len(table.head) - 1)
    scopes = [a["scope"] for a in page.all("th")]
    assert (scopes.count("col"), scopes.count("row")) == (len(table.head), len(table.rows))
    assert len(page.all("caption")) == 1
    assert all(cell in page.text for row in table.rows for cell in row)


def test_the_ribbon_has_a_cell_for_each_token_of_each_format(document):
    page = Page(panels.ribbon_html(document))
    compared_formats = [result["format"] for result in document["results"][1:]]
    radios = [(radio["data-format"], radio["value"]) for radio in page.all("input")]
    assert radios == [(format, str(i)) for format in compared_formats for i in range(5)]
    assert [i for i, radio in enumerate(page.all("input")) if "checked" in radio] == [0]
    assert all(piece in page.text for piece in document["results"][0]["pieces"])


@pytest.mark.parametrize("chosen", [0, 3])
def test_one_token_of_the_ribbon_is_chosen(document, chosen):
    radios = Page(panels.ribbon_html(document, chosen)).all("input")
    assert [radio["value"] for radio in radios if "checked" in radio] == [str(chosen)]


def test_the_ribbons_colour_follows_the_divergence():
    document = compared(("bf16",))
    kl = [0.0, 1e-6, 9e-3, 2.0, None]
    document["results"][1]["kl_by_position"] = kl
    steps = [label["class"] for label in Page(panels.ribbon_html(document)).all("label")]
    assert steps == ["kl0", "kl1", "kl2", "kl4", "kl4"]
    assert list(KL_STEPS) == sorted(KL_STEPS)


def test_the_ribbon_says_what_would_be_written_instead(document):
    page = Page(panels.ribbon_html(document))
    pieces = document["results"][0]["pieces"]
    titles = iter(label["title"] for label in page.all("label"))
    for result in document["results"][1:]:
        for written, top, title in zip(pieces, result["top"], titles, strict=False):
            own = top[0][0]
            assert title.endswith(f", would write {own}" if own != written else " nats")


def test_the_likeliest_tokens_of_each_format_are_listed(document):
    page = Page(panels.top_html(document, 2))
    assert "(token 3)" in page.text
    assert len(page.all("li")) == 5 * len(document["results"])
    widths = [float(i["style"][6:-1]) for i in page.all("i")]
    shares = [share for result in document["results"] for _, share in result["top"][2]]
    assert widths == pytest.approx([100 * share for share in shares], abs=0.05001)


def test_panels_stand_for_unusual_documents():
    for document in (without_reference(), compared(()), overflowing()):
        html = [panels.verdict_html(document), panels.cards_html(cards(document))]
        html += [panels.ribbon_html(document), panels.top_html(document, 0)]
        assert not any("None" in part or "nan" in part for part in html)


def test_the_verdict_shows_what_was_asked_and_where_it_is_from(document):
    page = Page(panels.verdict_html(document, note="computed earlier"))
    assert [p.get("class") for p in page.all("p")] == [
        "stale-note", "note", "asked", "read", "sentences",
    ]  # fmt: skip
    assert Page(panels.verdict_html(document)).marked("note") == []
    assert FORMATS[0] in page.text


def test_the_tokens_that_the_model_reads_are_shown_and_the_odd_ones_marked(document):
    read = [
        {"piece": "▁hi", "text": "hi", "kind": ""},
        {"piece": "<unk>", "text": "😀", "kind": "unknown"},
        {"piece": "</s>", "text": None, "kind": "special"},
    ]
    page = Page(panels.verdict_html({**document, "read": read}))
    assert "read as 3 tokens; this model does not know 😀" in page.text
    assert [code.get("class") for code in page.all("code")] == [None, "unknown", "special"]
    assert page.marked("unknown")[0]["title"] == "unknown: 😀"
    assert page.all("details") == []
    long = Page(panels.verdict_html({**document, "read": read * 20}))
    assert "open" not in long.all("details")[0]
    assert len(long.all("code")) == 60
    assert Page(panels.verdict_html({**document, "read": []})).marked("read") == []
