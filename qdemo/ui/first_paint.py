"""The example in the page itself, so that it is seen before gradio's scripts have run."""

from __future__ import annotations

import re
from typing import Any

from qdemo.ui import example
from qdemo.views import panels
from qdemo.views.cards import cards
from qdemo.views.templates import asset, fill


def html() -> str:
    """The example's verdict and cards, which take themselves away when the page is ready."""
    document = example.example()
    return fill(
        "first_paint",
        style=asset("colours.css") + asset("style.css"),
        masthead=fill("masthead"),
        verdict=panels.verdict_html(document, example.note()),
        cards=panels.cards_html(cards(document)),
    )


class FirstPaint:
    """ASGI middleware that puts `html` at the beginning of the body of the front page."""

    def __init__(self, app: Any, html: str) -> None:
        """Wrap `app`."""
        self._app = app
        self._html = html.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on; change the front page only."""
        is_front = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/"
        await self._app(scope, receive, self._inserting(send) if is_front else send)

    def _inserting(self, send: Any) -> Any:
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def collect(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                body = self._inserted(b"".join(parts))
                await send(start | {"headers": _resized(start["headers"], len(body))})
                await send({"type": "http.response.body", "body": body})

        return collect

    def _inserted(self, page: bytes) -> bytes:
        """After the body's opening tag; a page without one, an error, stays as it is."""
        return re.sub(rb"<body[^>]*>", lambda tag: tag[0] + self._html, page, count=1)


def _resized(headers: list[tuple[bytes, bytes]], size: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return [*kept, (b"content-length", str(size).encode())]
