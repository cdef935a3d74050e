"""The whole dashboard: its pages, its API, and how it is served."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # or the server asks the outside
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")  # what it remembers of calls, and
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(2**31))  # sums up after each: never
os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")  # or launching fails behind a proxy

import gradio as gr
from starlette.middleware import Middleware

from qdemo.engine import heap
from qdemo.engine.engine import ENGINE
from qdemo.models.availability import UnavailableError
from qdemo.settings import SETTINGS
from qdemo.spec.messages import say
from qdemo.ui import (
    api,
    assistants,
    evidence_api,
    first_paint,
    frontend,
    guard,
    insides,
    logs,
    parts,
    stream,
)
from qdemo.ui.pages import pages

HOUR = 3600
"""How long a file is kept that was uploaded or made for a page."""

VISITORS = 200
"""Pages of which what is on screen is remembered, the latest ones."""

_QUEUED = 256
"""What gradio keeps for later, of all endpoints together; comparisons have a line of their own."""

_SWITCH_S = 0.001
"""How long what computes waits for Python while the server has it; 5 ms by default, each token."""


def build() -> gr.Blocks:
    """All pages, not yet served."""
    front, *others = pages()
    title = say("qdemo: what reduced precision does to a real model")
    with gr.Blocks(title=title, delete_cache=(HOUR, HOUR)) as dashboard:
        front.build(dashboard)
    for page, after in zip_longest(others, others[1:]):
        with dashboard.route(page.title, page.path):
            page.build(dashboard)
            if after:
                parts.next_page(after.title, after.path)
            if page is others[-1]:  # what is on no screen goes where there is least else
                api.build()
                assistants.build()
                evidence_api.build()
    dashboard.queue(max_size=_QUEUED, default_concurrency_limit=1)
    insides.look_less(dashboard)
    return dashboard


def serve(dashboard: gr.Blocks) -> None:
    """Launch, and then load the first model, while the page is being looked at.

    Raises:
        SystemExit: the device that the host wants is not here.
    """
    if ENGINE.settings.device not in ("auto", "cpu"):  # to find that out takes torch
        try:
            _ = ENGINE.device
        except UnavailableError as error:
            raise SystemExit(f"qdemo: {error}") from None
    heap.keep_little()
    sys.setswitchinterval(_SWITCH_S)
    dashboard.launch(prevent_thread_lock=True, **launch_settings(dashboard))
    ENGINE.warm_up("t5-tiny")
    dashboard.block_thread()


def launch_settings(dashboard: gr.Blocks) -> Mapping[str, object]:
    """What `launch` needs: no request to the outside, no traceback to a client."""
    insides.check()
    insides.fetch_nothing()
    insides.remember_nothing()
    insides.offer(assistants.TOOLS)
    if not SETTINGS.tracebacks:
        logs.keep_short()
    return {
        "theme": theme(),
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "max_file_size": "20mb",
        "show_error": False,
        "enable_monitoring": False,
        "state_session_capacity": VISITORS,
        "app_kwargs": {"middleware": middleware(dashboard), "lifespan": lifespan},
    }


def middleware(dashboard: gr.Blocks) -> list[Middleware]:
    """What is around the app, from the outside in."""
    return [
        Middleware(stream.Pages),
        Middleware(guard.Answers, head=first_paint.head(insides.version_of(theme()))),
        Middleware(guard.Requests),
        Middleware(guard.Pages, texts=first_paint.texts(), edit=first_paint.begun),
        Middleware(guard.Pages, texts=_links(dashboard), edit=frontend.after_its_own),
        Middleware(frontend.Kept),
        Middleware(stream.Compressed),
    ]


def _links(dashboard: gr.Blocks) -> dict[str, str]:
    """What each page will need, by its path."""
    types = insides.types_by_page(dashboard)
    return {path: frontend.named(found) for path, found in types.items()}


@contextlib.asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """What the app does beside answering: it deletes uploads that broke off, every hour."""
    task = asyncio.create_task(_delete_leftovers())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _delete_leftovers() -> None:
    while True:
        await asyncio.to_thread(delete_leftovers, Path(insides.get_upload_folder()))
        await asyncio.sleep(HOUR)


def delete_leftovers(folder: Path) -> None:
    """Delete what was begun in `folder` and has not been written to for an hour: gradio deletes
    every other file then, and these never."""
    for file in folder.glob("tmp*"):
        with contextlib.suppress(OSError):  # it was completed meanwhile, or is a folder
            if time.time() - file.stat().st_mtime > HOUR:
                file.unlink()


def theme() -> gr.themes.Base:
    """gradio's default with fonts that come with it and contrast that passes."""
    return gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        text_size="lg",
        font=(gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "sans-serif"),
        font_mono=(gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "monospace"),
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
    )
