"""All that reaches into the insides of gradio and starlette, with the versions it was made for.

With other versions the app starts and says so in its log. It does not start where a part is gone:
what keeps a visitor out, or keeps a visitor's words to itself, would be off without a word.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from abc import ABCMeta
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
from pydantic import RootModel

from qdemo.spec.document import Json
from qdemo.spec.messages import say
from qdemo.spec.request import InputError

MADE_FOR = {"gradio": "6.31.0", "starlette": "1.10.0"}

__all__ = [
    "BUILD",
    "MADE_FOR",
    "THEME",
    "Api",
    "Document",
    "DocumentOutput",
    "PictureInput",
    "PlotData",
    "check",
    "fetch_nothing",
    "get_route_path",
    "get_upload_folder",
    "look_less",
    "offer",
    "page",
    "plot",
    "print_errors",
    "remember_nothing",
    "save_bytes_to_cache",
    "types_by_page",
    "uploaded",
    "version_of",
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
    from gradio import processing_utils, queueing, routes, state_holder
    from gradio.components.api_component import Api
    from gradio.components.plot import PlotData
    from gradio.context import Context
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


THEME = "theme.css"
"""Where the app serves the theme's colours, sizes and fonts."""


def version_of(theme: gr.themes.Base) -> str:
    """What gradio's pages ask for the theme by, so that it is fetched once."""
    css: str = theme._get_theme_css()
    return hashlib.sha256(css.encode()).hexdigest()


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
        known = getattr(owner, "__name__", type(owner).__name__)
        raise _gone(say("{owner} has no {name!r} any more", owner=known, name=name))
    setattr(owner, name, new)


def fetch_nothing() -> None:
    """Have gradio refuse a file that is given as an address: it would fetch one of any size."""
    _replace(processing_utils, "async_ssrf_protected_download", _not_fetched)


async def _not_fetched(url: str, cache_dir: str) -> str:
    raise gr.Error(
        say("a file is sent as an upload; addresses are not fetched"), print_exception=False
    )


def look_less(blocks: gr.Blocks) -> None:
    """Have gradio look for calls, and for news of their progress, less often than a thousand times
    a second: each look interrupts what computes, and a token of a tiny model took 6% longer.

    Raises:
        RuntimeError: it looks in another way by now.
    """
    for name, seconds in _LOOKS_S.items():
        _replace(blocks._queue, name, seconds)


_LOOKS_S = {"sleep_when_free": 0.005, "progress_update_sleep_when_free": 0.1}


def remember_nothing() -> None:
    """Have gradio not keep each visitor's last inputs and outputs, a megabyte each, nor describe
    all components anew for them: 18 ms of the server and 390 kB for each who comes.

    It does so for its deep links, which are closed here (`guard.CLOSED`).
    """
    _replace(SessionState, "_update_value_in_config", _not_kept)
    _replace(SessionState, "_update_config", _not_kept)
    _replace(state_holder, "SessionState", _Session)


def _not_kept(self: SessionState, *_: Any) -> None:
    pass


class _Session(SessionState):  # type: ignore[misc]
    """A visitor's state without descriptions of components."""

    def __init__(self, blocks: gr.Blocks) -> None:
        described = SimpleNamespace(default_config=blocks.default_config, blocks={})
        super().__init__(described)


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


def page() -> str:
    """The path of the page that is being laid out."""
    blocks = Context.root_block
    return f"/{blocks.current_page}" if blocks else "/"


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


class Document(RootModel[Json]):
    """JSON without files, which gradio sends as it is.

    In a dict it would look for files, number by number, four times over, and copy it each time: 50
    ms of the server for a report of four formats, while nothing else is answered or computed.
    """


def _as_it_is(self: gr.JSON, value: Any) -> Any:
    return value if isinstance(value, Document) else gr.JSON.postprocess(self, value)


# gradio makes a component anew for each page that is opened, and forgets what files it has written,
# which then nobody deletes: all have one list.
_FILES: set[str] = set()
_ONE_LIST = property(lambda _: _FILES, lambda *_: None)


def _kind_of(component: type[Any], name: str, **parts: Any) -> Any:
    """A class of components: gradio's metaclass writes a .pyi file beside the source of every one
    that is written as a class."""
    body = {"__module__": __name__, "is_template": True, **parts}
    return ABCMeta.__new__(type(component), name, (component,), body)


DocumentOutput = _kind_of(gr.JSON, "DocumentOutput", __doc__="JSON.", postprocess=_as_it_is)
"""What answers with a Document, or with any other JSON."""

PictureInput = _kind_of(
    gr.Image, "PictureInput", __doc__="A picture as the file that was uploaded.",
    preprocess=_as_it_came, temp_files=_ONE_LIST,
)  # fmt: skip
"""For the browser it is an Image; its value is the file that was uploaded, where gradio would
decode it, and fail without a word."""
