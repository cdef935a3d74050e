"""All that reaches into the insides of gradio and starlette, with the versions it was made for.

With other versions the app starts and says so in its log. It does not start where a part is gone:
what keeps a visitor out, or keeps a visitor's words to itself, would be off without a word.
"""

from __future__ import annotations

import logging
import traceback
from abc import ABCMeta
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr

from qdemo.spec.messages import say
from qdemo.spec.request import InputError

MADE_FOR = {"gradio": "6.31.0", "starlette": "1.10.0"}

__all__ = [
    "BUILD",
    "MADE_FOR",
    "Api",
    "PictureInput",
    "check",
    "fetch_nothing",
    "get_route_path",
    "get_upload_folder",
    "offer",
    "plot",
    "print_errors",
    "remember_nothing",
    "save_bytes_to_cache",
    "types_by_page",
    "uploaded",
]


def _versions(of: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {number}" for name, number in of.items())


def _installed() -> dict[str, str]:
    return {name: version(name) for name in MADE_FOR}


def _gone(what: str) -> RuntimeError:
    return RuntimeError(
        say(
            "{what}. qdemo needs it and was made for {made_for}; here are {installed}. Install "
            "what requirements.txt asks for.",
            what=what,
            made_for=_versions(MADE_FOR),
            installed=_versions(_installed()),
        )
    )


try:
    from gradio import processing_utils, queueing, routes
    from gradio.components.api_component import Api
    from gradio.components.plot import PlotData
    from gradio.data_classes import ImageData
    from gradio.mcp import GradioMCPServer
    from gradio.processing_utils import save_bytes_to_cache
    from gradio.route_utils import BUILD_PATH_LIB
    from gradio.state_holder import SessionState
    from gradio.utils import get_upload_folder, is_in_or_equal
    from starlette._utils import get_route_path  # what the router goes by, whatever a proxy keeps
except ImportError as error:
    raise _gone(str(error)) from error


BUILD = Path(BUILD_PATH_LIB)
"""Where the scripts and styles of gradio's pages are."""


def check() -> None:
    """Say it in the log where other versions are installed than this was made for."""
    if _installed() != MADE_FOR:
        logging.getLogger("qdemo").warning(
            "made for %s, found %s: what it changes inside of them may have changed too",
            _versions(MADE_FOR), _versions(_installed()),
        )  # fmt: skip


def _replace(owner: Any, name: str, new: Any) -> None:
    """Put `new` in the place of something that gradio has, so that it is used.

    Raises:
        RuntimeError: there is nothing of that name, so nobody would use it.
    """
    if not hasattr(owner, name):
        raise _gone(say("{owner} has no {name!r} any more", owner=owner.__name__, name=name))
    setattr(owner, name, new)


def fetch_nothing() -> None:
    """Have gradio refuse a file that is given as an address: it would fetch one of any size."""
    _replace(processing_utils, "async_ssrf_protected_download", _not_fetched)


async def _not_fetched(url: str, cache_dir: str) -> str:
    raise gr.Error(
        say("a file is sent as an upload; addresses are not fetched"), print_exception=False
    )


def remember_nothing() -> None:
    """Have gradio not keep each visitor's last inputs and outputs, a megabyte each.

    It does so for its deep links, which are closed here (`guard.CLOSED`).
    """
    _replace(SessionState, "_update_value_in_config", _not_kept)


def _not_kept(self: SessionState, key: int, value: Any) -> None:
    pass


def print_errors(how: Callable[[], None]) -> None:
    """Have gradio call `how` in the place of `traceback.print_exc`."""
    for module in (queueing, routes):
        _replace(module, "traceback", SimpleNamespace(**vars(traceback) | {"print_exc": how}))


def offer(tools: Mapping[str, str]) -> None:
    """Have gradio offer assistants these tools, each with its endpoint, and not every endpoint."""

    def named(self: GradioMCPServer) -> dict[str, str]:
        return {
            self.valid_and_unique_tool_name(self.tool_prefix + name, set()): endpoint
            for name, endpoint in tools.items()
        }

    _replace(GradioMCPServer, "get_tool_to_endpoint", named)


def types_by_page(blocks: gr.Blocks) -> dict[str, list[str]]:
    """The types of the components that a page has from its beginning, by its path."""
    found: dict[str, list[str]] = {}
    for block in blocks.blocks.values():
        if block.visible is not False:
            found.setdefault(f"/{block.page}", []).append(block.get_block_name())
    return found


def plot(figure: str) -> PlotData:
    """A figure of plotly, as JSON, as gradio's plot takes it."""
    return PlotData(type="plotly", plot=figure)


def uploaded(payload: Any) -> Path:
    """The file that a client has uploaded. gradio itself lets a request name any file, if it is
    worded with care.

    Raises:
        InputError: it is anything else.
    """
    path = payload.get("path") if isinstance(payload, dict) else None
    if not isinstance(path, str) or not is_in_or_equal(path, get_upload_folder()):
        raise InputError("picture", say("expected a file that was uploaded (handle_file), or none"))
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
        "__doc__": "A picture as the file that was uploaded.",
        "is_template": True,
        "preprocess": _as_it_came,
        "temp_files": _ONE_LIST,
    },
)
"""For the browser it is an Image; its value is the file that was uploaded, where gradio would
decode it, and fail without a word."""
