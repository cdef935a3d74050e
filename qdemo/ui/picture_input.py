"""A picture as the file that was uploaded: gradio would decode it, and fail without a word."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData


def _path(_: Any, payload: ImageData | None) -> str | None:
    """The file's path, which gradio has found to be an upload."""
    return payload.path if payload else None


# gradio's metaclass writes a .pyi file beside the source of every class that is written as one.
PictureInput: Any = ABCMeta.__new__(
    type(gr.Image),
    "PictureInput",
    (gr.Image,),
    {"__module__": __name__, "__doc__": __doc__, "is_template": True, "preprocess": _path},
)
"""For the browser it is an Image."""
