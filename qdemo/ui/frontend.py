"""gradio's own scripts and styles, for which a page waits longer than for anything of ours.

A browser finds them one after the other, as each script names the next, and gradio opens and
compresses a file each time that it is asked for. So a page names beforehand what it will need
(`named`), and what was asked for once stays in memory as it is sent (`Kept`).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import brotli  # type: ignore[import-untyped]

from qdemo.engine.memory import Memory
from qdemo.ui.guard import Message, accepts
from qdemo.ui.insides import BUILD, get_route_path

# --- what a page will need: the build of gradio's pages says it of itself

_FILES = re.compile(r"m\.f=\[(.*?)\]")
"""In each script: all that it may load later."""

_LOAD = r"import\(`\./({}[^`]*)`\)[^`]*?__vite__mapDeps\(\[([\d,]*)\]"
"""Where it loads a script: which, and what that needs, as places among all."""

_COMPONENT = r"[{{,]{}:\{{(?:(?!component:)[^{{}}])*component:[^`]*?"
"""Where it does so for a component of some type."""

_STATE = {"api": "state"}  # what gradio takes for a component of no look


def named(types: Iterable[str]) -> str:
    """What has a browser fetch at once all that a page with components of these types needs.

    A later gradio may say it otherwise; what is not found here, the browser finds by itself.
    """
    files = dict.fromkeys([*_frame(), *(file for one in types for file in _component(one))])
    return "".join(map(_link, files))


def after_its_own(links: bytes, page: bytes) -> bytes:
    """What the page names by itself comes first: it is not painted before its style is there."""
    return page.replace(b"</head>", links + b"</head>", 1)


def _link(name: str) -> str:
    how = 'preload" as="style' if name.endswith(".css") else "modulepreload"
    return f'<link rel="{how}" crossorigin href="./assets/{name}">'


@cache
def _frame() -> list[str]:
    """What every page needs, one script after the other."""
    page = (BUILD.parent / "index.html").read_text(encoding="utf-8")
    entry = re.search(r"(?<=/assets/)index-[\w-]+\.js", page)
    first = _loaded(entry[0], "Index-") if entry else []
    return [*first, *_loaded(first[0], "Blocks-")] if first else []


@cache
def _component(name: str) -> list[str]:
    """What a component needs beside that."""
    core = next((file for file in _frame() if file.startswith("core-")), None)
    before = _COMPONENT.format(_STATE.get(name, name))
    return _loaded(core, "", before) if core else []


def _loaded(script: str, name: str, before: str = "") -> list[str]:
    """What `script` loads with a script of that name, itself first, where that stands after
    `before`."""
    text = (BUILD / script).read_text(encoding="utf-8")
    files, found = _FILES.search(text), re.search(before + _LOAD.format(name), text)
    if not files or not found:
        return []
    every = re.findall(r'"\./([^"]+)"', files[1])
    return [every[int(place)] for place in found[2].split(",") if place]


# --- what was asked for once

_FOLDERS = ("/assets/", "/static/")
_BY_CONTENT = "/assets/"  # whose names change with what is in them
_FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")
_MOST = 24 * 2**20
"""Bytes that are kept, several times what pages need: paths that lead to one file have no end, as
/assets/./a.js and /assets/././a.js."""
_TEXT = (b"text/", b"application/javascript", b"image/svg")
_WAYS: dict[str, Callable[[bytes], bytes]] = {
    "br": partial(brotli.compress, quality=5),  # browsers take it over TLS, and on one machine
    "gzip": gzip.compress,
}


class Kept:
    """ASGI middleware that answers for gradio's files out of memory, from the second time on.

    There are twenty megabytes of them. Who looks at every page needs seven, which are two as they
    are sent.
    """

    def __init__(self, app: Any) -> None:
        """Wrap `app`."""
        self._app = app
        self._kept = Memory[tuple[str, str], list[Message]](_MOST)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on what is not a whole file for a browser that takes it compressed."""
        asked = _asked(scope)
        if asked is None:
            await self._app(scope, receive, send)
            return
        answer = self._kept.get(asked)
        if answer is None:
            answer = await _answer(self._app, scope, receive)
            if answer[0]["status"] == 200 and _is_whole(answer):
                answer = _compressed(answer, *asked)
                self._kept.put(asked, answer, len(answer[1]["body"]))
        for message in answer:
            await send(message)


def _asked(scope: Any) -> tuple[str, str] | None:
    """The path and the way to compress, where a whole file of gradio's is asked for."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    path, headers = get_route_path(scope), dict(scope["headers"])
    if not path.startswith(_FOLDERS) or b"range" in headers:
        return None
    way = next((name for name in _WAYS if accepts(scope, name)), None)
    return (path, way) if way else None


async def _answer(app: Any, scope: Any, receive: Any) -> list[Message]:
    """What `app` answers, in two messages: how it starts, and its body."""
    sent: list[Message] = []

    async def collect(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, collect)
    start, *parts = sent
    body = b"".join(part.get("body", b"") for part in parts)
    return [start, {"type": "http.response.body", "body": body}]


def _is_whole(answer: list[Message]) -> bool:
    """Whether all of the file came: of one whose asker left meanwhile, only a part may."""
    start, body = answer
    length = dict(start["headers"]).get(b"content-length")
    return length is not None and int(length) == len(body["body"]) > 0


def _compressed(answer: list[Message], path: str, way: str) -> list[Message]:
    """The answer as it is sent from now on; what has no words in it stays as it is."""
    start, body = answer
    headers = dict(start["headers"])
    if headers.get(b"content-type", b"").startswith(_TEXT):
        body = body | {"body": _WAYS[way](body["body"])}
        headers |= {
            b"content-length": str(len(body["body"])).encode(),
            b"content-encoding": way.encode(),
            b"vary": b"Accept-Encoding",
        }
    if path.startswith(_BY_CONTENT):
        headers |= dict([_FOREVER])
    return [start | {"headers": [*headers.items()]}, body]
