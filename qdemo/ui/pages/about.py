"""The About page: what this is, what each number means, what the models can do, licences."""

from __future__ import annotations

from importlib.metadata import version

import gradio as gr

from qdemo.views.templates import fill

_PACKAGES = ("gradio", "torch", "transformers", "sentencepiece", "safetensors", "pillow", "plotly",
             "pandas")  # fmt: skip


def build() -> None:
    """Lay the page out; the caller is inside a Blocks."""
    versions = [(name, version(name)) for name in _PACKAGES]
    gr.HTML(fill("about", versions=versions), js_on_load=None, apply_default_css=False)
