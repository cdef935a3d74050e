import pytest
from jinja2 import TemplateNotFound, UndefinedError

from qdemo.views.templates import ASSETS, fill
from tests.views.documents import HOSTILE, Page


def test_what_is_left_out_is_an_error_not_a_gap():
    with pytest.raises(UndefinedError, match="text"):
        fill("reading")


def test_no_template_no_page():
    with pytest.raises(TemplateNotFound):
        fill("no-such-template")


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("reading", {"text": HOSTILE}),
        ("problem", {"message": HOSTILE}),
        ("section", {"title": HOSTILE, "text": HOSTILE}),
        ("status", {"text": HOSTILE, "state": "busy"}),
        ("link", {"page": "./", "state": "", "text": "", "reason": HOSTILE}),
        ("link", {"page": "./", "state": "a=b", "text": HOSTILE, "reason": ""}),
    ],
)
def test_values_stay_text(template, values):
    page = Page(fill(template, **values))
    assert HOSTILE in page.text
    assert page.all("img") == page.all("script") == []


def test_a_link_stays_in_its_attribute():
    state = 'model=t5-tiny&input="><script>alert(1)</script>'
    page = Page(fill("link", page="./", state=state, text="again", reason=""))
    assert page.all("a")[0]["href"] == f"./#{state}"
    assert page.all("script") == []


def test_nothing_is_wrong_without_a_message():
    assert fill("problem", message="").strip() == ""
    assert Page(fill("problem", message="no")).all("p")[0]["role"] == "alert"


def test_only_what_is_ours_is_taken_as_html():
    ours = {
        "style",
        "script",
        "colours",
        "masthead",
        "verdict",
        "cards",
        "summary",
        "terms",
        "told",
    }
    own = {
        "loss.html": {"chart"},
        "evidence_chart.html": {"chart"},
        "evidence_report.html": {"chart", "verdicts", "tasks", "basis", "shown"},
        "report.html": {"chart", "part.drawn", "part.table", "ribbon", "top", 'scripts["ribbon"]',
                        'scripts["map"]', 'scripts["layout"]'},
    }  # fmt: skip
    for file in (ASSETS / "templates").glob("*.html"):
        known = ours | own.get(file.name, set())
        for part in file.read_text().split("{{")[1:]:
            value, *filters = (word.strip() for word in part.partition("}}")[0].split("|"))
            assert "safe" not in filters or value in known, f"{file.name}: {value}"
