"""ZeroGPU: on such a Space what computes is decorated, elsewhere nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


def on_gpu(function: Function) -> Function:
    """`spaces.GPU` where there is the package of that name, else the function as it is."""
    try:
        import spaces
    except ImportError:
        return function
    decorated: Function = spaces.GPU(function)
    return decorated
