"""A guard around the app: what a request may bring, and what a browser may do with an answer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from qdemo.settings import SETTINGS, Settings
from qdemo.spec.messages import say
from qdemo.ui.insides import get_route_path

Message = dict[str, Any]
"""Of ASGI: what is sent, or who asks for what."""

UPLOAD = "/gradio_api/upload"
MOST = 200_000
"""Bytes of a request; the longest of the page has 70,000, a prompt of odd characters."""

MOST_UPLOAD = 21 * 2**20
"""Bytes of an upload: one file of 20 MB, which is the most that gradio takes, and its wrapping."""

CLOSED = (
    "/gradio_api/file=http",  # gradio fetches any public address for anyone
    "/gradio_api/file/http",
    "/gradio_api/proxy=",
    "/gradio_api/process_recording",  # runs ffmpeg on whatever comes
    "/gradio_api/deep_link",  # writes a file at each call, which is never deleted
)
"""What gradio offers beyond what the page and the API need."""

_HUB = "https://huggingface.co"


def policy(settings: Settings, nonce: str) -> str:
    """What a browser may do with an answer; each has a nonce of its own for its page's scripts."""
    ancestors = ("'self'", _HUB, "https://*.hf.space", *settings.frame_ancestors)
    connect = ("'self'", _HUB) if settings.in_space else ("'self'",)  # gradio asks how a Space is
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",  # gradio makes functions of js=
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src {' '.join(connect)}",
            "manifest-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            f"frame-ancestors {' '.join(ancestors)}",
        )
    )


class Requests:
    """ASGI middleware that refuses, in a sentence, what is too large or for nothing here."""

    def __init__(self, app: Any) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a refusal, or pass on a request whose body ends where it is too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MOST_UPLOAD if get_route_path(scope) == UPLOAD else MOST
        refusal = _refusal(scope, most)
        if refusal is None:
            await self._app(scope, _limited(receive, most), send)
        else:
            answer = JSONResponse({"detail": refusal.detail}, refusal.status_code)
            await answer(scope, receive, send)


def _refusal(scope: Any, most: int) -> HTTPException | None:
    if get_route_path(scope).startswith(CLOSED):
        return HTTPException(404, say("There is no such page."))
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return _too_large(most) if int(length) > most else None


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        413, say("The request is too large; at most {most:,} bytes are read.", most=most)
    )


def _limited(receive: Any, most: int) -> Any:
    """A body whose length is not told beforehand; FastAPI answers with what is raised here."""
    left = most

    async def limited() -> Message:
        nonlocal left
        message: Message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(most)
        return message

    return limited


class Answers:
    """ASGI middleware that gives answers their policy, and the scripts of pages their nonce.

    A script that is written into a page later, by whatever means, has no nonce and does not run.
    """

    def __init__(self, app: Any, head: str) -> None:
        """Wrap `app`; `head` is put at the end of the head of each page."""
        self._app = app
        self._head = head.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Edit pages; whatever else there is, streams too, only gets its headers."""
        if scope["type"] == "http":
            nonce = secrets.token_urlsafe(16)
            send = _with_headers(send, policy(SETTINGS, nonce))
            if scope["method"] == "GET":
                send = rewriting(send, partial(self._edited, nonce.encode()))
        await self._app(scope, receive, send)

    def _edited(self, nonce: bytes, page: bytes) -> bytes:
        page = page.replace(b"</head>", self._head + b"</head>", 1)
        return re.sub(rb"<script(?=[\s>])", b'<script nonce="%s"' % nonce, page)


def _with_headers(send: Any, policy: str) -> Any:
    more = [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
    ]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = message | {"headers": [*message["headers"], *more]}
        await send(message)

    return sent


def rewriting(send: Any, edit: Callable[[bytes], bytes]) -> Any:
    """`send` with every page of HTML edited as a whole; all else passes as it comes."""
    start: Message = {}
    parts: list[bytes] = []

    async def collect(message: Message) -> None:
        if begins_with(message, b"text/html"):
            start.update(message)
        elif not start:
            await send(message)
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                body = edit(b"".join(parts))
                await send(start | {"headers": _resized(start["headers"], len(body))})
                await send({"type": "http.response.body", "body": body})

    return collect


class Pages:
    """ASGI middleware that edits each page: `edit` is given what `texts` has for the path of the
    page, and the page."""

    def __init__(
        self, app: Any, texts: Mapping[str, str], edit: Callable[[bytes, bytes], bytes]
    ) -> None:
        """Wrap `app`."""
        self._app = app
        self._edit = edit
        self._texts = {path: text.encode() for path, text in texts.items()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on; change pages only."""
        is_asked = scope["type"] == "http" and scope["method"] == "GET"
        text = self._texts.get(get_route_path(scope) or "/") if is_asked else None
        await self._app(
            scope, receive, rewriting(send, partial(self._edit, text)) if text else send
        )


def begins_with(message: Message, kind: bytes) -> bool:
    """Whether it is the start of an answer whose content is of that kind."""
    return message["type"] == "http.response.start" and any(
        name.lower() == b"content-type" and value.startswith(kind)
        for name, value in message["headers"]
    )


def accepts(scope: Message, way: str) -> bool:
    """Whether who asks takes an answer that is compressed that way: names it, and not to refuse it.

    >>> heads = (b"br, gzip;q=0.8", b"gzip;q=0", b"br", b"x-gzip")
    >>> [accepts({"headers": [(b"accept-encoding", head)]}, "gzip") for head in heads]
    [True, False, False, False]
    """
    told = dict(scope["headers"]).get(b"accept-encoding", b"").decode("latin-1").lower()
    for one in told.split(","):
        name, _, weight = one.partition(";")
        if name.strip() == way:
            return not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight)
    return False


def _resized(headers: list[tuple[bytes, bytes]], size: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return [*kept, (b"content-length", str(size).encode())]
