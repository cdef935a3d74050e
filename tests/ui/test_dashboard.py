import asyncio
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from inspect import isgeneratorfunction
from pathlib import Path

import gradio as gr
import pytest

import qdemo.ui
from qdemo.spec.report import WHOLE_MODEL
from qdemo.ui import charts, dashboard, first_paint, guard, held
from qdemo.ui.pages import about, pages
from qdemo.views.templates import asset, style
from tests.views.documents import Page, compared, without_reference

OUTSIDE = re.compile(r"https?://|//[a-z]+\.")


@pytest.fixture(scope="module")
def built():
    return dashboard.build()


@pytest.fixture(scope="module")
def drawn():
    with gr.Blocks():
        return charts.build(held.example())


def test_only_the_api_is_public(built):
    public = [fn.api_name for fn in built.fns.values() if fn.api_visibility == "public"]
    assert sorted(public) == [
        "compare", "compare_briefly", "download", "evaluate", "evaluate_briefly", "footprint",
        "models",
    ]  # fmt: skip


def test_what_computes_waits_in_a_line_of_its_own_and_not_in_gradio_s(built):
    """There nobody sees a place, and Stop waits with everyone."""
    computing = [fn for fn in built.fns.values() if isgeneratorfunction(fn.fn)]
    assert {fn.api_name for fn in computing} >= {"compare", "download"}
    limited = [fn.concurrency_id for fn in computing if fn.concurrency_limit is not None]
    assert limited == ["lab"]  # the small network that is trained in two seconds


def test_the_front_page_compares_and_another_tells_about_it(built):
    found = [(title, f"/{path}") for path, title, *_ in built.pages]
    (_, front), *others = found
    assert front == pages()[0].path == "/"
    assert others == [(page.title, page.path) for page in pages()[1:]]
    assert others[-1] == ("About", "/about")


def test_every_page_leads_to_every_other_and_says_which_it_is():
    for path, body in first_paint.bodies().items():
        links = re.findall(r'<a href="\./(.*?)"( aria-current="page")?>(.*?)</a>', body)
        assert [(f"/{to}", title) for to, _, title in links] == [
            (page.path, page.title) for page in pages()
        ]
        assert [f"/{to}" for to, here, _ in links if here] == [path]


def test_every_page_of_the_lab_leads_to_the_next(built):
    html = [block.value or "" for block in built.blocks.values() if isinstance(block, gr.HTML)]
    steps = [text for text in html if 'class="next"' in text]
    wanted = [(page.path.strip("/"), page.title) for page in pages()[2:]]
    found = [re.search(r'href="(\w+)">Next: ([\w ]+) <', text).groups() for text in steps]
    assert found == wanted


def test_a_client_gets_no_traceback_and_the_outside_no_request(built):
    settings = dashboard.launch_settings(built)
    assert settings["show_error"] is False
    assert "head" not in settings
    ours = style() + asset("head.js") + asset("first_paint.js")
    assert not OUTSIDE.search(ours + "".join(first_paint.bodies().values()))
    assert settings["footer_links"] == []


def test_the_style_loads_nothing():
    assert not re.search(r"@import|url\(", style())


def test_building_writes_no_file_beside_the_source(built):
    assert list(Path(qdemo.ui.__file__).parent.rglob("*.pyi")) == []


def test_the_charts_of_a_document_change_together(drawn):
    updates = charts.updates(drawn, compared())
    assert set(updates) == set(drawn.components)
    assert updates[drawn.whole]["visible"]
    names, places = zip(*updates[drawn.parameter]["choices"], strict=True)
    assert list(names) == compared().parameters
    assert names[places.index(updates[drawn.parameter]["value"])] == WHOLE_MODEL


@pytest.mark.parametrize("make", [without_reference, lambda: compared(())])
def test_without_a_comparison_there_are_no_charts(drawn, make):
    assert charts.updates(drawn, make()) == {drawn.whole: gr.update(visible=False)}


def test_a_layer_changes_what_depends_on_it():
    report = compared()
    shown = charts.of_parameter(report, str(report.parameters.index("1.weight")))
    _, errors, reading, table = shown
    assert "Errors around zero" in errors
    assert "1.weight" in reading
    assert "Weight errors of 1.weight" in table


def answer(app, path="/", method="GET"):
    """Status, headers and body that an app answers with."""
    sent = []

    async def send(message):
        sent.append(message)

    call = app({"type": "http", "path": path, "method": method}, None, send)
    with ThreadPoolExecutor() as pool:  # this thread may have a loop: the browser's tests leave one
        pool.submit(asyncio.run, call).result()
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], sorted(sent[0]["headers"]), body


def server(*parts):
    async def app(scope, receive, send):
        size = str(sum(map(len, parts))).encode()
        headers = [(b"content-length", size), (b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for i, part in enumerate(parts, 1):
            more = i < len(parts)
            await send({"type": "http.response.body", "body": part, "more_body": more})

    return app


@pytest.mark.parametrize(
    "parts", [(b'<body class="x"><p>page',), (b"<bo", b'dy class="x">', b"<p>page")]
)
def test_what_a_page_begins_with_is_at_the_beginning_of_its_body(parts):
    app = guard.Pages(server(*parts), {"/": "<b>é</b>"}, first_paint.begun)
    status, headers, body = answer(app)
    assert status == 200
    assert body == '<body class="x"><b>é</b><p>page'.encode()
    size = str(len(body)).encode()
    assert headers == [(b"content-length", size), (b"content-type", b"text/html")]


def test_everything_else_passes_as_it_is():
    app = guard.Pages(server(b"<body>", b"page"), {"/": "<b>"}, first_paint.begun)
    for asked in ({"path": "/about"}, {"path": "/config"}, {"method": "POST"}):
        assert answer(app, **asked)[2] == b"<body>page"
    app = guard.Pages(server(b"an error"), {"/": "<b>"}, first_paint.begun)
    assert answer(app)[2] == b"an error"


def test_a_page_describes_the_example_that_it_begins_with(built):
    described = [block.value for block in built.blocks.values() if isinstance(block, gr.HTML)]
    page = Page("".join(map(str, described)))
    assert all(trial.output in page.text for trial in held.example().results)
    assert held.note() in page.text


@pytest.mark.parametrize("title", about.SECTIONS)
def test_the_about_page_takes_its_words_from_the_readme(title):
    text = about.section(title)
    assert len(text) > 40
    assert "\n## " not in text
    assert f"## {title}\n\n{text}" in about.README.read_text(encoding="utf-8")


def test_the_introduction_is_words_alone():
    assert "It **is**" in about.introduction()
    assert "![" not in about.introduction()


def test_a_section_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no section 'Nothing'"):
        about.section("Nothing")


def test_what_was_begun_and_left_for_an_hour_is_deleted_and_nothing_else(tmp_path):
    (tmp_path / "tmpfolder").mkdir()
    for name, age in (("tmpold", 3700), ("tmpnew", 60), ("other", 3700), ("tmpfolder", 3700)):
        path = tmp_path / name
        if not path.is_dir():
            path.write_text("x")
        os.utime(path, (time.time() - age, time.time() - age))
    dashboard.delete_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tmpnew", "other", "tmpfolder"}
    dashboard.delete_leftovers(tmp_path / "nothing")
