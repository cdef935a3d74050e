"""The stage in every page, there before anything else is: it runs where the server is gone."""

from __future__ import annotations

import re
from typing import Any

from qdemo.ui.guard import rewriting
from qdemo.views.stage import stage_html


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
