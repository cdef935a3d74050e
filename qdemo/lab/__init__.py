"""What the lab's pages compute; each module is imported when it is first asked for.

They need torch, which takes a second, and the pages are laid out before it is there; what is known
without it is in `choices`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from qdemo.importing import IMPORTING

__all__ = [
    "beside",
    "bitstrip",
    "by_hand",
    "course",
    "course_casting",
    "course_formats",
    "course_linear",
    "dots",
    "dummy",
    "headroom",
    "matrices",
    "spacing",
    "training",
]

if TYPE_CHECKING:
    from qdemo.lab import (
        beside,
        bitstrip,
        by_hand,
        course,
        course_casting,
        course_formats,
        course_linear,
        dots,
        dummy,
        headroom,
        matrices,
        spacing,
        training,
    )
else:

    def __getattr__(name):
        """The module of that name."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with IMPORTING:
            return import_module(f"{__name__}.{name}")
