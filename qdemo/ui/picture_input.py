"""A picture as the file that was uploaded: gradio would decode it, and fail without a word."""

from __future__ import annotations

from abc import ABCMeta
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from gradio.utils import get_upload_folder, is_in_or_equal

from qdemo.request import InputError


def is_upload(path: str) -> bool:
    """Whether a file lies where gradio puts what was uploaded or made here."""
    return bool(is_in_or_equal(path, get_upload_folder()))


def uploaded(payload: Any) -> Path:
    """The file that a client has uploaded. gradio itself lets a request name any file, if it is
    worded with care.

    Raises:
        InputError: it is anything else.
    """
    path = payload.get("path") if isinstance(payload, dict) else None
    if not isinstance(path, str) or not is_upload(path):
        raise InputError("picture", "expected a file that was uploaded (handle_file), or none")
    return Path(path)


def _as_it_came(_: Any, payload: ImageData | None) -> dict[str, Any] | None:
    return None if payload is None else payload.model_dump()


# gradio makes a component anew for each page that is opened, and forgets what files it has written,
# which then nobody deletes: all have one list.
_FILES: set[str] = set()
_ONE_LIST = property(lambda _: _FILES, lambda *_: None)

# gradio's metaclass writes a .pyi file beside the source of every class that is written as one.
PictureInput: Any = ABCMeta.__new__(
    type(gr.Image),
    "PictureInput",
    (gr.Image,),
    {
        "__module__": __name__,
        "__doc__": __doc__,
        "is_template": True,
        "preprocess": _as_it_came,
        "temp_files": _ONE_LIST,
    },
)
"""For the browser it is an Image."""
