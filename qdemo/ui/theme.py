"""The look, and how the app is launched."""

from __future__ import annotations

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from qdemo.settings import SETTINGS
from qdemo.ui import assistants, first_paint, guard, leftovers, logs
from qdemo.views.templates import asset

TITLE = "qdemo: what reduced precision does to a real model"
VISITORS = 200
"""Pages of which what is on screen is remembered, the latest ones."""


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


def head() -> str:
    """Styles. (Scripts that gradio puts into a page do not run, see `guard.Answers`.)"""
    return f"<style>{asset('style.css')}</style>"


_ICON = (  # else a browser asks the origin, which behind a proxy is not ours
    "<link rel='icon' href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "
    "viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='3' fill='%231d4ed8'/%3E%3Cpath "
    "d='M3 12h2V7h2v5h2V4h2v8h2' fill='none' stroke='white' stroke-width='1.5'/%3E%3C/svg%3E\">"
)


def middleware() -> list[Middleware]:
    """What is around the app, from the outside in."""
    return [
        Middleware(guard.Answers, head=_ICON + f"<script>{asset('page.js')}</script>"),
        Middleware(guard.Requests),
        Middleware(first_paint.FirstPaint, html=first_paint.html()),
    ]


def launch_settings() -> dict[str, Any]:
    """What `launch` needs: no request to the outside, no traceback to a client."""
    guard.fetch_nothing()
    guard.remember_nothing()
    assistants.offer()
    if not SETTINGS.tracebacks:
        logs.keep_short()
    return {
        "theme": theme(),
        "head": head(),
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "max_file_size": "20mb",
        "show_error": False,
        "enable_monitoring": False,
        "state_session_capacity": VISITORS,
        "app_kwargs": {"middleware": middleware(), "lifespan": leftovers.lifespan},
    }
