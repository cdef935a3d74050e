"""torch and transformers are imported once, by one thread, while whoever needs them waits.

A page is there before they are, as they take seconds. Two threads that import them at once may each
find a module half made: those of torch import each other in circles, and transformers finds its
parts only when they are asked for.
"""

from __future__ import annotations

import logging
import os
from threading import Event, Lock, Thread

_BEGUN = Lock()
"""Taken by whoever comes first, and never given back."""

_THROUGH = Event()
_ERRORS: list[BaseException] = []


def begin() -> None:
    """Have them imported in the background; nothing where that has begun."""
    if _BEGUN.acquire(blocking=False):
        Thread(target=_import, name="first import", daemon=True).start()


def libraries() -> None:
    """Wait until they are there; whoever asks first begins.

    Raises:
        BaseException: whatever importing them raised, to everyone.
    """
    begin()
    if not _THROUGH.is_set():  # which takes no lock: a fork might have a copy that is held for ever
        _THROUGH.wait()
    if _ERRORS:
        raise _ERRORS[0]


def _import() -> None:
    try:
        import torch  # noqa: F401

        from qdemo.models.loading import prepare

        prepare()
    except BaseException as error:
        _ERRORS.append(error)
    finally:
        _THROUGH.set()


def compile_loops() -> None:
    """Have the usual formats' loops compiled before anyone waits for them: a second in all."""
    from qdemo.compress import kernels
    from qdemo.measure import fused

    try:
        kernels.prepare()
        fused.prepare()
    except Exception:  # then it is tried, and told, where one is needed
        logging.getLogger("qdemo").exception("loops could not be compiled beforehand")


def _settle() -> None:
    """Wait before a fork: there the thread would be missing, and its import never end."""
    if _BEGUN.locked():
        _THROUGH.wait()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_settle)
