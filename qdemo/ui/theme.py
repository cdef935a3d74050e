"""The look, and how the app is launched."""

from __future__ import annotations

from typing import Any

import gradio as gr

from qdemo.views.templates import ASSETS

TITLE = "qdemo: what reduced precision does to a real model"
_PRESS = """
document.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey))
    document.querySelector("#compare")?.click();
});
"""


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


def launch_settings() -> dict[str, Any]:
    """What `launch` needs: no request to the outside, no traceback to a client."""
    style = (ASSETS / "style.css").read_text(encoding="utf-8")
    return {
        "theme": theme(),
        "head": f"<style>{style}</style><script>{_PRESS}</script>",
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "max_file_size": "20mb",
        "show_error": False,
    }
