"""Memory that is free goes back to the system: glibc would keep what each thread once needed.

Measured with 60 comparisons of t5-tiny, each in a thread of its own: 0.47 GB instead of 1.97 GB.
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Hand whole free pages back, where the C library is one that can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
