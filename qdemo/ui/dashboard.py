"""The whole dashboard: its pages, its API, and how it is served."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # or the server asks the outside
os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")  # or launching fails behind a proxy

import gradio as gr

from qdemo.ui import api, assistants, heap, jobs
from qdemo.ui.pages import about, casting, compare, formats, linear
from qdemo.ui.theme import TITLE, launch_settings

_HOUR = 3600
_QUEUED = 256
"""What gradio keeps for later, of all endpoints together; comparisons have a line of their own."""

_SWITCH_S = 0.001
"""How long what computes waits for Python while the server has it; 5 ms by default, each token."""


def build() -> gr.Blocks:
    """All pages, not yet served."""
    with gr.Blocks(title=TITLE, delete_cache=(_HOUR, _HOUR)) as dashboard:
        gr.Navbar(main_page_name="Compare")
        compare.build(dashboard)
        api.build()
        assistants.build()
    with dashboard.route("Number formats", "/formats"):
        gr.Navbar(main_page_name="Compare")
        formats.build(dashboard)
    with dashboard.route("Casting", "/casting"):
        gr.Navbar(main_page_name="Compare")
        casting.build(dashboard)
    with dashboard.route("Linear quantization", "/linear"):
        gr.Navbar(main_page_name="Compare")
        linear.build(dashboard)
    with dashboard.route("About", "/about"):
        gr.Navbar(main_page_name="Compare")
        about.build()
    return dashboard.queue(max_size=_QUEUED, default_concurrency_limit=1)


def serve(dashboard: gr.Blocks) -> None:
    """Launch, and then load the first model, while the page is being looked at."""
    heap.keep_little()
    sys.setswitchinterval(_SWITCH_S)
    dashboard.launch(prevent_thread_lock=True, **launch_settings())
    jobs.warm_up("t5-tiny")
    dashboard.block_thread()
