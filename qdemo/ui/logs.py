"""One line of log for whatever goes wrong, and nothing in it that a visitor wrote.

A traceback for each hostile request fills a disk, and the message of an error may quote a prompt.
Who looks for a fault sets QDEMO_TRACEBACKS.
"""

from __future__ import annotations

import logging
import sys
import traceback

from qdemo.ui.insides import print_errors

_OURS = "qdemo"


def one_line(error: BaseException) -> str:
    """What an error is and where it comes from: the innermost place, and the innermost of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"/{_OURS}/" in frame.filename]
    shown = [f"{_short(f.filename)}:{f.lineno} {f.name}" for f in (*frames[-1:], *ours[-1:])]
    return f"{type(error).__name__} at {' < '.join(dict.fromkeys(shown)) or 'no place'}"


def _short(path: str) -> str:
    return "/".join(path.rsplit("/", 2)[-2:])


_SAID_TWICE = "No supported WebSocket library"  # of uvicorn, after "Unsupported upgrade request."


class _OneLine(logging.Filter):
    """A record's error as part of its line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(_SAID_TWICE):
            return False
        if record.exc_info and record.exc_info[1] is not None:
            message = record.getMessage().splitlines()[0]
            record.msg, record.args = f"{message}: {one_line(record.exc_info[1])}", ()
            record.exc_info = record.exc_text = None
        return True


def _print_one_line() -> None:
    """What gradio calls in the place of `traceback.print_exc`."""
    error = sys.exception()
    if error is not None:
        print(f"a request failed: {one_line(error)}", file=sys.stderr)


def keep_short() -> None:
    """Have gradio, its server and our own code log errors in a line each."""
    print_errors(_print_one_line)
    for name in ("uvicorn.error", "asyncio", _OURS):
        logging.getLogger(name).addFilter(_OneLine())
