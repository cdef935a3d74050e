"""The head of each page, and what the page begins with, before gradio's scripts have run.

gradio describes a page in the page itself. Of that a script of ours draws what is seen first, and
keeps it on screen until gradio's own is whole (assets/first_paint.js).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from qdemo.spec.messages import say
from qdemo.ui import held
from qdemo.ui.guard import rewriting
from qdemo.ui.insides import THEME, get_route_path
from qdemo.ui.pages import pages
from qdemo.views import terms
from qdemo.views.templates import asset, fill, style

ICON = (  # else a browser asks the origin, which behind a proxy is not ours
    "<link rel='icon' href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "
    "viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='3' fill='%231d4ed8'/%3E%3Cpath "
    "d='M3 12h2V7h2v5h2V4h2v8h2' fill='none' stroke='white' stroke-width='1.5'/%3E%3C/svg%3E\">"
)
FONTS = (
    "SourceSansPro/SourceSansPro-Regular",
    "SourceSansPro/SourceSansPro-Bold",
    "IBMPlexMono/IBMPlexMono-Regular",
    "IBMPlexMono/IBMPlexMono-Bold",
)
"""What the first screen is written in: asked for at once, or its words would move when it comes."""

SCRIPTS = ("page.js", "head.js", "layout.js", "first_paint.js")

ABOUT = "about#glossary"
"""Where all terms stand; addresses count from the front page."""


def head(theme: str) -> str:
    """What is put at the end of the head of each page; `theme` names the version of gradio's theme.

    Scripts that gradio itself puts into a page do not run, see `guard.Answers`.
    """
    fonts = (
        f'<link rel="preload" as="font" crossorigin href="static/fonts/{name}.woff2">'
        for name in FONTS
    )
    scripts = "".join(map(asset, SCRIPTS))
    sheet = f'<link rel="stylesheet" href="{THEME}?v={theme}">'
    told = terms.head(held.example().figures, ABOUT)
    return f"{ICON}{''.join(fonts)}{sheet}<style>{style()}</style><script>{scripts}</script>{told}"


def bodies() -> dict[str, str]:
    """What each page's body begins with, by the path of the page."""
    every = pages()
    names = {every[0].path: say("Answers")}
    return {
        page.path: fill("head", pages=every, path=page.path, first=names.get(page.path, page.title))
        for page in every
    }


class FirstPaint:
    """ASGI middleware that puts what `bodies` has for a page at the beginning of its body."""

    def __init__(self, app: Any, bodies: Mapping[str, str]) -> None:
        """Wrap `app`."""
        self._app = app
        self._bodies = {path: body.encode() for path, body in bodies.items()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on; change pages only."""
        is_asked = scope["type"] == "http" and scope["method"] == "GET"
        body = self._bodies.get(get_route_path(scope) or "/") if is_asked else None
        await self._app(scope, receive, rewriting(send, partial(_begun, body)) if body else send)


def _begun(body: bytes, page: bytes) -> bytes:
    """After the body's opening tag; a page without one, an error, stays as it is."""
    return re.sub(rb"<body[^>]*>", lambda tag: tag[0] + body, page, count=1)
