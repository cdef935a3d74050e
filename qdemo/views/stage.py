"""The stories as HTML: a line of the Compare page, and the screens of the stage."""

from __future__ import annotations

from qdemo.views.telling import label, stories
from qdemo.views.templates import asset, fill


def line_html() -> str:
    """One line that tells a story after the other; the first has its answer on screen already."""
    return fill("stories", stories=stories())


def stage_html() -> str:
    """All screens of the stage, which a page has and does not show, and the script that does."""
    screens = fill("stage", stories=stories(), label=label())
    return f"{screens}<script>{asset('stage.js')}{asset('stories.js')}</script>"
