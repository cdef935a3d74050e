"""The head of each page, and what the page begins with, before gradio's scripts have run.

gradio describes a page in the page itself. Of that a script of ours draws what is seen first, and
keeps it on screen until gradio's own is whole (assets/first_paint.js).
"""

from __future__ import annotations

import re

from qdemo.spec.messages import say
from qdemo.ui import held
from qdemo.ui.insides import THEME
from qdemo.ui.pages import pages
from qdemo.views import terms
from qdemo.views.stories import kept
from qdemo.views.telling import stories
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
    told = terms.head(held.figures(), ABOUT)
    return f"{ICON}{''.join(fonts)}{sheet}<style>{style()}</style><script>{scripts}</script>{told}"


def texts() -> dict[str, str]:
    """All that each page's body begins with, by the path of the page: the front page alone has the
    line of stories, and what leads along it."""
    stage, line = stage_html(), f"<script>{asset('stories.js')}</script>"
    return {
        path: stage + (line if path == pages()[0].path else "") + body
        for path, body in bodies().items()
    }


def bodies() -> dict[str, str]:
    """The head of each page, and its first paint, by the path of the page."""
    every = pages()
    names = {every[0].path: say("Answers")}
    return {
        page.path: fill("head", pages=every, path=page.path, first=names.get(page.path, page.title))
        for page in every
    }


def stage_html() -> str:
    """All screens of the stage, in a template that a browser does not show, and the script that
    shows them: every page has them from its first byte, so they run where the server is gone."""
    known = kept()
    label = say(
        "computed earlier, {date}, on {processor}",
        date=known.computed[:10],
        processor=known.processor,
    )
    screens = fill("stage", stories=stories(), label=label)
    return f"{screens}<script>{asset('stage.js')}</script>"


def begun(body: bytes, page: bytes) -> bytes:
    """After the body's opening tag; a page without one, an error, stays as it is."""
    return re.sub(rb"<body[^>]*>", lambda tag: tag[0] + body, page, count=1)
