"""A picture as the file that was uploaded: gradio would decode it, and fail without a word."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from gradio.utils import get_upload_folder, is_in_or_equal


def is_upload(path: str) -> bool:
    """Whether a file lies where gradio puts what was uploaded or made here."""
    return bool(is_in_or_equal(path, get_upload_folder()))


def _path(_: Any, payload: ImageData | None) -> str | None:
    """The file's path. gradio itself lets a request name any file, if it is worded with care.

    Raises:
        gr.Error: it is no file that was uploaded.
    """
    if payload is None or payload.path is None:
        return None
    if not is_upload(payload.path):
        raise gr.Error("picture: send it as an upload", print_exception=False)
    return str(payload.path)


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
        "preprocess": _path,
        "temp_files": _ONE_LIST,
    },
)
"""For the browser it is an Image."""
