import re

import gradio as gr
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.testclient import TestClient

from qdemo.settings import Settings
from qdemo.ui import dashboard, guard, stream
from tests.ui.test_dashboard import answer

PAGE = "<head><script>1</script></head><body><script src=x></script><scripted><b>é</b>"
JSON = {"content-type": "application/json"}
NONCE = re.compile(r"'nonce-([\w-]{20,})'")


@pytest.fixture(scope="module")
def app():
    app = FastAPI()
    app.add_middleware(guard.Requests)
    app.add_middleware(guard.Answers, head="<script>ours</script>")
    app.get("/", response_class=HTMLResponse)(page)
    app.head("/", response_class=HTMLResponse)(page)
    app.get("/text")(page)
    app.post("/json")(parsed)
    app.post(guard.UPLOAD)(length)
    return app


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app) as client:
        yield client


async def page() -> str:
    return PAGE


async def parsed(body: dict[str, str]) -> int:
    return len(body["text"])


async def length(request: Request) -> int:
    return len(await request.body())


def whole(body):
    return body


def in_pieces(body):
    """A body whose length nobody tells beforehand."""
    yield body[:1000]
    yield body[1000:]


@pytest.mark.parametrize("sent", [whole, in_pieces])
@pytest.mark.parametrize(
    ("path", "most", "frame"),
    [("/json", guard.MOST, b'{"text": "%s"}'), (guard.UPLOAD, guard.MOST_UPLOAD, b"%s")],
)
def test_a_body_may_have_so_many_bytes_and_not_one_more(client, sent, path, most, frame):
    text = b"x" * (most - len(frame) + 2)
    assert client.post(path, content=sent(frame % text), headers=JSON).json() == len(text)
    refused = client.post(path, content=sent(frame % (text + b"x")), headers=JSON)
    assert refused.status_code == 413
    assert refused.json() == {
        "detail": f"The request is too large; at most {most:,} bytes are read."
    }


def test_what_nothing_here_needs_is_closed(client):
    for path in guard.CLOSED:
        for ending in ("", "s://example.com/x.png"):
            closed = client.get(path + ending)
            assert closed.status_code == 404
            assert closed.json() == {"detail": "There is no such page."}


@pytest.mark.parametrize("kept", ["/qdemo", ""], ids=["kept", "stripped"])
def test_behind_a_proxy_with_a_prefix_paths_are_those_of_the_router(app, kept):
    large = b"x" * (guard.MOST + 1)
    with TestClient(app, root_path="/qdemo") as client:
        upload = client.post(f"{kept}{guard.UPLOAD}", content=large)
        assert (upload.status_code, upload.json()) == (200, len(large))
        assert client.post(f"{kept}/json", content=large, headers=JSON).status_code == 413
        for path in guard.CLOSED:
            assert client.get(f"{kept}{path}").json() == {"detail": "There is no such page."}


def test_a_path_is_an_upload_only_where_the_router_takes_it_for_one(client):
    """A longer body is not let through by a prefix that nobody has set."""
    elsewhere = client.post(f"/qdemo{guard.UPLOAD}", content=b"x" * (guard.MOST + 1))
    assert elsewhere.status_code == 413


def directives(settings):
    parts = guard.policy(settings, "a-nonce").split("; ")
    return dict(part.split(" ", 1) for part in parts)


def test_who_may_frame_the_pages_is_for_the_host_to_say():
    usual = directives(Settings())["frame-ancestors"].split()
    assert usual == ["'self'", "https://huggingface.co", "https://*.hf.space"]
    origins = ("https://blog.example.org", "http://localhost:8000")
    more = directives(Settings(frame_ancestors=origins))["frame-ancestors"].split()
    assert more == [*usual, *origins]


def test_only_in_a_space_a_page_may_ask_the_hub():
    assert directives(Settings())["connect-src"] == "'self'"
    assert directives(Settings(in_space=True))["connect-src"] == "'self' https://huggingface.co"


def test_every_answer_says_what_a_browser_may_do(client):
    refused = client.get(guard.CLOSED[0]), client.post("/json", content=b"x" * 300_000)
    for told in (client.head("/"), *map(client.get, ("/", "/text", "/nothing")), *refused):
        assert told.headers["x-content-type-options"] == "nosniff"
        assert told.headers["referrer-policy"] == "same-origin"
        policy = dict(
            part.split(" ", 1) for part in told.headers["content-security-policy"].split("; ")
        )
        assert policy["default-src"] == policy["object-src"] == "'none'"
        assert "'unsafe-inline'" not in policy["script-src"]
        assert "https://huggingface.co" in policy["frame-ancestors"]


def test_the_scripts_of_a_page_have_a_nonce_that_no_other_page_has(client):
    pages = [client.get("/"), client.get("/")]
    nonces = [NONCE.search(page.headers["content-security-policy"])[1] for page in pages]
    assert nonces[0] != nonces[1]
    for page, nonce in zip(pages, nonces, strict=True):
        script = f'<script nonce="{nonce}"'
        assert page.text == (
            f"<head>{script}>1</script>{script}>ours</script></head>"
            f"<body>{script} src=x></script><scripted><b>é</b>"
        )


def test_what_is_no_page_keeps_every_byte(client):
    assert client.get("/text").json() == PAGE
    assert client.head("/").headers["content-length"] == str(len(PAGE.encode()))


def test_a_stream_passes_piece_by_piece():
    log = []

    async def stream(scope, receive, send):
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in (b"1", b"2"):
            log.append(f"sends {piece}")
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    async def noted(scope, receive, send):
        async def note(message):
            log.append(message.get("body"))
            await send(message)

        await guard.Answers(stream, head="")(scope, receive, note)

    assert answer(noted)[2] == b"12"
    assert log == [None, "sends b'1'", b"1", "sends b'2'", b"2", None]


def test_what_runs_beside_the_answers_is_let_through():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    for wrapped in (guard.Requests(app), guard.Answers(app, head="")):
        with pytest.raises(StopIteration):
            wrapped({"type": "lifespan"}, None, None).send(None)
    assert seen == ["lifespan", "lifespan"]


def test_the_app_is_guarded():
    around = [one.cls for one in dashboard.launch_settings(gr.Blocks())["app_kwargs"]["middleware"]]
    assert around[:3] == [stream.Pages, guard.Answers, guard.Requests]


HEADS = ("gzip;q=0.", "gzip;\tq=0", "gzip ; q=0.000 ", "br,\tgzip\t;\tq=0.0")


@pytest.mark.parametrize("refusal", HEADS)
def test_every_way_to_write_a_weight_of_zero_refuses(refusal):
    assert not guard.accepts({"headers": [(b"accept-encoding", refusal.encode())]}, "gzip")
