"""Uploads that broke off: gradio deletes every other file after an hour, and these never."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

HOUR = 3600


@contextlib.asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """What an app does beside answering: delete them every hour."""
    task = asyncio.create_task(_forever())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _forever() -> None:
    while True:
        await asyncio.to_thread(delete, Path(get_upload_folder()))
        await asyncio.sleep(HOUR)


def delete(folder: Path) -> None:
    """Delete what was begun in `folder` and has not been written to for an hour."""
    for file in folder.glob("tmp*"):
        with contextlib.suppress(OSError):  # it was completed meanwhile, or is a folder
            if time.time() - file.stat().st_mtime > HOUR:
                file.unlink()
