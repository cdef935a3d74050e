"""gradio's own files: named beforehand, and kept compressed."""

import asyncio
import gzip
import re
from concurrent.futures import ThreadPoolExecutor

import brotli
import pytest
from starlette.responses import FileResponse, Response
from starlette.testclient import TestClient

from qdemo.ui import frontend, guard, insides
from tests.ui.test_dashboard import answer, server

FILE = "// a script\n" * 100


def links(page):
    return re.findall(r'href="\./assets/([^"]+)"', page)


def test_what_is_named_is_there_each_once():
    named = links(frontend.named(["row", "html", "plot", "html", "api"]))
    assert len(named) == len(set(named)) > 20
    assert all((insides.BUILD / name).is_file() for name in named)
    assert any(name.startswith("Blocks-") for name in named)


def test_every_component_of_a_page_has_a_script_beside_what_every_page_needs():
    frame = links(frontend.named([]))
    for name in ("html", "row", "plot", "textbox", "api", "dataset"):
        assert set(links(frontend.named([name]))) > set(frame), name


def test_what_has_no_script_is_not_named():
    assert frontend.named(["nothing"]) == frontend.named([])


def test_the_names_stand_in_the_head_of_their_page_alone():
    texts = {"/about": frontend.named(["html"])}
    page = server(b"<head><title>1</title></head><body>")
    app = guard.Pages(page, texts, frontend.after_its_own)
    assert links(answer(app, "/about")[2].decode()) == links(frontend.named(["html"]))
    assert answer(app, "/")[2] == b"<head><title>1</title></head><body>"
    assert answer(app, "/about", "POST")[2] == b"<head><title>1</title></head><body>"


@pytest.fixture
def client(tmp_path):
    (tmp_path / "a.js").write_text(FILE)
    asked = []

    async def app(scope, receive, send):
        asked.append(scope["path"])
        there = scope["path"].endswith("a.js")
        found = FileResponse(tmp_path / "a.js") if there else Response("no", 404)
        await found(scope, receive, send)

    client = TestClient(frontend.Kept(app))
    client.asked = asked
    return client


@pytest.mark.parametrize("way", ["br", "gzip"])
def test_a_file_is_asked_for_once_and_comes_compressed(client, way):
    for _ in range(3):
        found = client.get("/assets/a.js", headers={"accept-encoding": way})
        assert found.headers["content-encoding"] == way
        assert int(found.headers["content-length"]) < len(FILE) / 2
        assert "immutable" in found.headers["cache-control"]
        assert found.text == FILE
    assert client.asked == ["/assets/a.js"]


def test_what_has_no_hash_in_its_name_is_not_for_ever(client):
    found = client.get("/static/a.js", headers={"accept-encoding": "gzip"})
    assert "cache-control" not in found.headers


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/assets/a.js", {"accept-encoding": "identity"}),
        ("/assets/a.js", {"accept-encoding": "gzip", "range": "bytes=0-9"}),
        ("/gradio_api/a.js", {"accept-encoding": "gzip"}),
        ("/assets/b.js", {"accept-encoding": "gzip"}),
    ],
    ids=["not compressed", "a part", "not gradio's", "not there"],
)
def test_all_else_passes_as_it_comes(client, path, headers):
    for _ in range(2):
        assert "content-encoding" not in client.get(path, headers=headers).headers
    assert client.asked == [path, path]


def test_endless_paths_to_one_file_take_no_more_than_there_is_for_them(client, monkeypatch):
    monkeypatch.setattr(frontend, "_MOST", 500)  # bytes, of which the file takes 43
    endless = TestClient(frontend.Kept(client.app._app))
    paths = ["/assets/" + "%2e/" * i + "a.js" for i in range(50)]
    for path in (paths[0], *paths, paths[0], paths[0]):
        assert endless.get(path, headers={"accept-encoding": "gzip"}).text == FILE
    assert len(client.asked) == len(paths) + 1  # the first one was forgotten, and kept again


def test_a_file_that_came_in_part_is_not_kept():
    """As for one who left meanwhile: a script without its end would be sent to all from then on."""
    whole = FILE.encode()
    bodies = [b"", whole[:9], whole]

    async def app(scope, receive, send):
        head = [
            (b"content-type", b"application/javascript"),
            (b"content-length", b"%d" % len(whole)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": bodies.pop(0)})

    kept = frontend.Kept(app)
    scope = {"type": "http", "method": "GET", "path": "/assets/a.js", "root_path": "",
             "headers": [(b"accept-encoding", b"gzip")]}  # fmt: skip
    sent = []

    async def send(message):
        sent.append(message)

    for count in (0, 0, 1):
        with ThreadPoolExecutor(1) as pool:  # in this thread Playwright's loop may run
            pool.submit(asyncio.run, kept(scope, None, send)).result()
        assert len(kept._kept) == count
    assert gzip.decompress(sent[-1]["body"]) == whole


def test_both_ways_can_be_undone():
    for way, undo in (("br", brotli.decompress), ("gzip", gzip.decompress)):
        assert undo(frontend._WAYS[way](FILE.encode())) == FILE.encode()
