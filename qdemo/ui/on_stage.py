"""The stories on a page: a line of the Compare page, and the screens of the stage, which every page
has from its first byte: so they run where the server is gone."""

from __future__ import annotations

import re
from typing import Any

from qdemo.spec.messages import say
from qdemo.ui.guard import rewriting
from qdemo.views.stories import kept
from qdemo.views.telling import stories
from qdemo.views.templates import asset, fill


def line_html() -> str:
    """One line that tells a story after the other; the first has its answer on screen already."""
    return fill("stories", stories=stories())


def stage_html() -> str:
    """All screens of the stage, in a template that a browser does not show, and the scripts that
    show them and lead along the line."""
    screens = fill("stage", stories=stories(), label=_label())
    return f"{screens}<script>{asset('stage.js')}{asset('stories.js')}</script>"


def _label() -> str:
    """Whose and when what they show is."""
    known = kept()
    return say(
        "computed earlier, {date}, on {processor}",
        date=known.computed[:10],
        processor=known.processor,
    )


class OnStage:
    """ASGI middleware that puts the stage at the beginning of the body of each page."""

    def __init__(self, app: Any) -> None:
        """Wrap `app`."""
        self._app = app
        self._html = stage_html().encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on; change pages only."""
        is_asked = scope["type"] == "http" and scope["method"] == "GET"
        await self._app(scope, receive, rewriting(send, self._inserted) if is_asked else send)

    def _inserted(self, page: bytes) -> bytes:
        """After the body's opening tag; what has none is no page."""
        return re.sub(rb"<body[^>]*>", lambda tag: tag[0] + self._html, page, count=1)
