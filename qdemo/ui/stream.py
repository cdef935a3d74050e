"""The stream of answers, compressed as it goes, and pages, compressed as a whole.

Each answer repeats much of those before it, and half of a short one is gradio's wrapping. So what
is sent is a fifth of what is said, for who takes it compressed: browsers, and gradio_client too.
"""

from __future__ import annotations

import gzip
import zlib
from functools import partial
from typing import Any

from qdemo.ui.guard import Message, accepts, begins_with, rewriting
from qdemo.ui.insides import get_route_path

_PATH = "/gradio_api/queue/data"
_LEVEL = 1  # the quickest: 100 MB/s, and the next ones save a twentieth of what is left
_PAGES = 4  # 3 ms of a quarter of a megabyte
_GZIP = zlib.MAX_WBITS + 16  # with gzip's head; a stream holds a quarter of a megabyte meanwhile


class Compressed:
    """ASGI middleware that compresses the stream, in which each piece can be read when it comes."""

    def __init__(self, app: Any) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on; compress the stream where it is asked for."""
        is_asked = scope["type"] == "http" and get_route_path(scope) == _PATH
        takes = is_asked and accepts(scope, "gzip")
        await self._app(scope, receive, _compressing(send) if takes else send)


class Pages:
    """ASGI middleware that compresses pages: each brings its own description, a quarter of a
    megabyte that becomes a fifth."""

    def __init__(self, app: Any) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on; compress pages for who takes it."""
        if scope["type"] == "http" and scope["method"] == "GET" and accepts(scope, "gzip"):
            send = rewriting(_told(send), partial(gzip.compress, compresslevel=_PAGES))
        await self._app(scope, receive, send)


def _told(send: Any) -> Any:
    """`send` that says of each page that it is compressed."""

    async def sent(message: Message) -> None:
        await send(_gzipped(message) if begins_with(message, b"text/html") else message)

    return sent


def _gzipped(message: Message) -> Message:
    """The start of an answer, which says that it is compressed."""
    more = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    return message | {"headers": [*message["headers"], *more]}


def _compressing(send: Any) -> Any:
    """`send` with each piece of a stream compressed, and sent whole; all else passes as it is."""
    packer: Any = None

    async def sent(message: Message) -> None:
        nonlocal packer
        if begins_with(message, b"text/event-stream"):
            packer = zlib.compressobj(_LEVEL, wbits=_GZIP)
            message = _gzipped(message)
        elif packer:
            mode = zlib.Z_SYNC_FLUSH if message.get("more_body") else zlib.Z_FINISH
            piece = packer.compress(message.get("body", b"")) + packer.flush(mode)
            message = message | {"body": piece}
        await send(message)

    return sent
