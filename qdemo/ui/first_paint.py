"""The example in the page itself, so that it is seen before gradio's scripts have run."""

from __future__ import annotations

import re
from typing import Any

from qdemo.ui import held, on_stage
from qdemo.ui.guard import rewriting
from qdemo.ui.insides import get_route_path
from qdemo.views import panels
from qdemo.views.cards import cards
from qdemo.views.templates import fill, style


def html() -> str:
    """The example's verdict and cards, which take themselves away when the page is ready."""
    report = held.example()
    return fill(
        "first_paint",
        style=style(own_colours=True),
        masthead=fill("masthead"),
        stories=on_stage.line_html(),
        verdict=panels.verdict_html(report, held.note()),
        cards=panels.cards_html(cards(report)),
    )


class FirstPaint:
    """ASGI middleware that puts `html` at the beginning of the body of the front page."""

    def __init__(self, app: Any, html: str) -> None:
        """Wrap `app`."""
        self._app = app
        self._html = html.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on; change the front page only."""
        is_front = (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and get_route_path(scope) in ("", "/")
        )
        await self._app(scope, receive, rewriting(send, self._inserted) if is_front else send)

    def _inserted(self, page: bytes) -> bytes:
        """After the body's opening tag; a page without one, an error, stays as it is."""
        return re.sub(rb"<body[^>]*>", lambda tag: tag[0] + self._html, page, count=1)
