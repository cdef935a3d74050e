"""The stream of answers, compressed piece by piece."""

import asyncio
import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import pytest

from qdemo.ui import dashboard, stream

PATH = "/gradio_api/queue/data"
PIECES = [b"data: one\n\n", b"data: two\n\n", b"data: " + b"three " * 5000 + b"\n\n", b""]


def sent(
    path=PATH, accepted=b"gzip, br", kind=b"text/event-stream; charset=utf-8", by=stream.Compressed
):
    """The headers and the pieces of an answer as they are sent."""
    found = []

    async def app(scope, receive, send):
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for i, piece in enumerate(PIECES):
            more = i + 1 < len(PIECES)
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    async def send(message):
        found.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
    scope["headers"] = [(b"accept-encoding", accepted)] if accepted else []
    call = by(app)(scope, None, send)
    with ThreadPoolExecutor() as pool:  # this thread may have a loop: the browser's tests leave one
        pool.submit(asyncio.run, call).result()
    return dict(found[0]["headers"]), [message["body"] for message in found[1:]]


def test_each_piece_can_be_read_when_it_comes():
    headers, pieces = sent()
    assert headers[b"content-encoding"] == b"gzip"
    assert headers[b"vary"] == b"Accept-Encoding"
    reader = zlib.decompressobj(wbits=31)
    assert [reader.decompress(piece) for piece in pieces] == PIECES
    assert reader.eof
    assert gzip.decompress(b"".join(pieces)) == b"".join(PIECES)


def test_what_repeats_is_sent_once():
    _, pieces = sent()
    assert len(pieces[2]) < len(PIECES[2]) / 20


@pytest.mark.parametrize(
    "other",
    [{"path": "/config"}, {"accepted": b"br"}, {"accepted": b"gzip;q=0"}, {"accepted": None},
     {"kind": b"application/json"}],
)  # fmt: skip
def test_all_else_passes_as_it_is(other):
    headers, pieces = sent(**other)
    assert b"content-encoding" not in headers
    assert pieces == PIECES


def test_what_is_no_request_is_let_through():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    with pytest.raises(StopIteration):
        stream.Compressed(app)({"type": "lifespan"}, None, None).send(None)
    assert seen == ["lifespan"]


def test_the_stream_of_the_app_is_compressed():
    around = [one.cls for one in dashboard.launch_settings(gr.Blocks())["app_kwargs"]["middleware"]]
    assert stream.Compressed in around


def test_a_page_is_compressed_as_a_whole():
    headers, pieces = sent("/linear", kind=b"text/html; charset=utf-8", by=stream.Pages)
    assert headers[b"content-encoding"] == b"gzip"
    assert headers[b"vary"] == b"Accept-Encoding"
    assert int(headers[b"content-length"]) == sum(map(len, pieces)) < sum(map(len, PIECES)) / 10
    assert gzip.decompress(b"".join(pieces)) == b"".join(PIECES)


def test_no_other_answer_is_and_none_for_who_does_not_take_it():
    for asked in ({"kind": b"application/json"}, {"kind": b"text/html", "accepted": b"br"}):
        headers, pieces = sent("/linear", by=stream.Pages, **asked)
        assert b"content-encoding" not in headers
        assert b"".join(pieces) == b"".join(PIECES)
