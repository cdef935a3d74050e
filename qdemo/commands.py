"""What commands share: the device, a file to write, a model that is brought, a line of progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from qdemo.spec.messages import say


def compute_on(device: str | None) -> None:
    """Have it computed there, and not where QDEMO_DEVICE says.

    Raises:
        ValueError: there is no such device here.
    """
    if device is None:
        return
    from qdemo.engine import devices
    from qdemo.engine.engine import ENGINE
    from qdemo.engine.first import libraries

    libraries()
    ENGINE.device = devices.chosen(device)


@contextmanager
def file(name: str | None) -> Iterator[Callable[[str], object]]:
    """What writes a file at the end of what may be long; that it can, is found out before.

    Raises:
        ValueError: it can't be written; what it held stays until there is something else to hold.
    """
    if name is None:
        yield lambda _: None
        return
    path = Path(name)
    is_new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        told = say("can't write {file}: {why}", file=name, why=error.strerror)
        raise ValueError(told) from None
    try:
        yield partial(path.write_text, encoding="utf-8")
    except BaseException:
        if is_new:
            path.unlink()
        raise


def bring(model: str) -> None:
    """Download it, where it is not here, with a line that is written over."""
    from qdemo.models.availability import get_entry
    from qdemo.models.download import download

    for known in download(get_entry(model)):
        told = say(
            "downloading {model}: {done:,.0f} of {total:,.0f} MB",
            model=model,
            done=known.done / 1e6,
            total=known.total / 1e6,
        )
        write_over(told)


def write_over(text: str) -> None:
    """One line in the place of the last, where a person is looking on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
